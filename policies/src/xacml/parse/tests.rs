//! What is refused, by name and line.

use super::*;
use crate::xacml::testing::{
    PERMIT_OVERRIDES, SET_DENY_OVERRIDES, compiled, condition, document, matching, policy, policy_set, rule, target,
};
use crate::xacml::{CompiledPolicy, Semantics, XML_BYTES_MAX};

fn refused(xml: &str) -> &'static str {
    compiled(xml, Semantics::Standard).map(drop).unwrap_err().code
}

fn permit(inside: &str) -> String {
    policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", inside))
}

#[test]
fn what_a_policy_says_is_read() {
    let notices = r#"<ObligationExpressions><ObligationExpression ObligationId="o" FulfillOn="Deny"><AttributeAssignmentExpression AttributeId="a" Category="c"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string"> x<!-- c -->y </AttributeValue></AttributeAssignmentExpression></ObligationExpression></ObligationExpressions>"#;
    let xml = permit(&format!(
        "<Description> d </Description>{}{}{notices}",
        target(&["subject id a", "action id b"]),
        condition("boolean:true")
    ));
    let PolicyElement::Policy(read) = document(&xml).unwrap().root else { panic!() };
    let rule = &read.rules[0];
    assert_eq!((rule.description.as_deref(), rule.effect, rule.target.0[0].0.len()), (Some("d"), Effect::Permit, 2));
    assert_eq!((rule.notices[0].effect, rule.notices[0].kind), (Effect::Deny, NoticeKind::Obligation));
    assert_eq!(rule.notices[0].assignments[0].category.as_deref(), Some("c"));
    assert_eq!(compiled(&xml, Semantics::Standard).unwrap().semantics(), Semantics::Standard);
    let utf16: Vec<u8> = format!("\u{feff}{xml}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(parse("policy.xml", &utf16).unwrap(), document(&xml).unwrap());
}

#[test]
fn refusals_name_file_line_and_cure() {
    let xml = permit("").replace("<Rule", "\n\n<Rule").replace("Permit\"", "Allow\"");
    let error = document(&xml).unwrap_err();
    assert_eq!((error.code, error.line, error.file.as_str()), ("effect", 3, "policy.xml"));
    assert_eq!(error.to_string(), "policy.xml, line 3: `Effect` is `Allow`; write `Permit` or `Deny`");
}

#[test]
fn form_is_checked() {
    let good = permit(&target(&["subject id a"]));
    for (from, to, code) in [
        ("<Target/>", "", "target_missing"),
        ("<Target/>", "<Target/><Target/>", "element_twice"),
        ("<Target/>", "<Target/><Surprise/>", "element_unknown"),
        ("<Target/>", "<Target/><x:Rule xmlns:x='urn:x'/>", "element_unknown"),
        ("<Target/>", "<Target/><CombinerParameters/>", "feature_unsupported"),
        ("<Target/>", "<Target/><PolicyIssuer/>", "feature_unsupported"),
        ("<Target/>", "<PolicyDefaults><XPathVersion>2</XPathVersion></PolicyDefaults><Target/>", "xpath_version"),
        ("Version=\"1.0\"", "Version=\"one\"", "version"),
        ("Version=\"1.0\"", "", "attribute_missing"),
        ("Version=\"1.0\"", "Version=\"1.0\" Surprise=\"\"", "attribute_unknown"),
        ("MustBePresent=\"false\"", "MustBePresent=\"perhaps\"", "must_be_present"),
        ("MatchId=", "FunctionId=", "attribute_missing"),
        ("<AllOf>", "<AllOf><AnyOf/>", "element_unknown"),
        ("<AnyOf>", "<AnyOf/><AnyOf>", "element_missing"),
        ("<AttributeDesignator", "<AttributeValue DataType=''/><AttributeDesignator", "match_form"),
        ("string-equal\"", "string-normalize-space\"", "match_type"),
        ("string-equal\"", "nonsense\"", "function_unknown"),
        ("permit-overrides", "nonsense", "algorithm_unknown"),
        ("rule-combining", "policy-combining", "algorithm_unknown"),
        ("</Policy>", "</Polic>", "xml_malformed"),
        ("<Policy ", "<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><Policy ", "xml_malformed"),
        ("</Rule>", "<Condition/></Rule>", "expression_count"),
        ("</Rule>", "<ObligationExpressions/></Rule>", "element_missing"),
    ] {
        assert!(good.contains(from), "{from}");
        assert_eq!(refused(&good.replacen(from, to, 1)), code, "{to}");
    }
    let selector =
        permit("<Condition><AttributeSelector Category='c' Path='/a' DataType='d' MustBePresent='false'/></Condition>");
    assert_eq!(refused(&selector), "feature_unsupported");
    assert_eq!(refused("<a/>"), "document_element");
}

#[test]
fn ids_are_unique() {
    let two = policy("p", PERMIT_OVERRIDES, &[rule("r", "Permit", ""), rule("r", "Deny", "")].concat());
    assert_eq!(refused(&two), "rule_id_twice");
    assert!(compiled(&two, Semantics::Altinn).is_ok());
    let inner = policy("p", PERMIT_OVERRIDES, "");
    assert_eq!(
        refused(&policy_set("s", SET_DENY_OVERRIDES, &[inner.clone(), inner.clone()].concat())),
        "policy_id_twice"
    );
    // Wherever they stand: beside each other, deeper, in another document.
    let set = |id: &str, inside: &str| policy_set(id, SET_DENY_OVERRIDES, inside);
    let apart = set("s", &[set("t", &inner), set("u", &inner)].concat());
    assert_eq!(refused(&apart), "policy_id_twice");
    assert_eq!(refused(&set("s", &set("t", &set("s", "")))), "policy_id_twice");
    assert!(
        compiled(&apart.replacen("Version=\"1.0\" RuleC", "Version=\"1.1\" RuleC", 1), Semantics::Standard).is_ok()
    );
    let referring =
        document(&set("s", &[set("t", &inner), "<PolicyIdReference>p</PolicyIdReference>".to_owned()].concat()));
    let elsewhere = [document(&inner).unwrap()];
    let error = CompiledPolicy::compile(&referring.unwrap(), &elsewhere, Semantics::Standard).unwrap_err();
    assert_eq!(error.code, "policy_id_twice");
    let variable = "<VariableDefinition VariableId=\"v\"><AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#string\"/></VariableDefinition>";
    assert_eq!(refused(&policy("p", PERMIT_OVERRIDES, &variable.repeat(2))), "variable_id_twice");
    let (root, other) =
        (document(&inner).unwrap(), document(&inner.replace("Version=", "\nVersion=").replace("><", ">\n<")).unwrap());
    let mut changed = other.clone();
    changed.file = "other.xml".to_owned();
    if let PolicyElement::Policy(policy) = &mut changed.root {
        policy.description = Some("other".to_owned());
    }
    let error = CompiledPolicy::compile(&root, &[changed], Semantics::Standard).unwrap_err();
    assert_eq!((error.code, error.file.as_str()), ("policy_id_twice", "other.xml"));
}

#[test]
fn circles_are_refused() {
    let reference = |id: &str| format!("<PolicySetIdReference>{id}</PolicySetIdReference>");
    let set = |id: &str, to: &str| document(&policy_set(id, SET_DENY_OVERRIDES, &reference(to))).unwrap();
    let sets = [set("a", "b"), set("b", "c"), set("c", "a")];
    assert_eq!(CompiledPolicy::compile(&sets[0], &sets[1..], Semantics::Standard).unwrap_err().code, "reference_cycle");
    assert_eq!(
        CompiledPolicy::compile(&sets[0], &sets[1..2], Semantics::Standard).unwrap_err().code,
        "reference_unknown"
    );
    let chain: Vec<_> = (0..100).map(|at| set(&at.to_string(), &(at + 1).to_string())).collect();
    assert_eq!(
        CompiledPolicy::compile(&chain[0], &chain[1..], Semantics::Standard).unwrap_err().code,
        "policy_too_deep"
    );
    let variable = |id: &str, to: &str| {
        format!("<VariableDefinition VariableId=\"{id}\"><VariableReference VariableId=\"{to}\"/></VariableDefinition>")
    };
    let circle = [variable("a", "b"), variable("b", "a")].concat();
    assert_eq!(refused(&policy("p", PERMIT_OVERRIDES, &circle)), "variable_cycle");
    // Ten thousand that use each other in a row are fine, in whichever order.
    let row: String = (0..10_000).map(|at| variable(&at.to_string(), &(at + 1).to_string())).collect();
    let last = "<VariableDefinition VariableId=\"10000\"><AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#boolean\">true</AttributeValue></VariableDefinition>";
    assert!(compiled(&policy("p", PERMIT_OVERRIDES, &format!("{row}{last}")), Semantics::Standard).is_ok());
}

#[test]
fn hostile_documents_are_refused_quickly() {
    let nested = |inside: &str, depth| condition(&format!("{}{inside}{}", "(not ".repeat(depth), ")".repeat(depth)));
    assert!(compiled(&permit(&nested("boolean:true", 50)), Semantics::Standard).is_ok());
    assert_eq!(refused(&permit(&nested("boolean:true", 10_000))), "xml_too_deep");
    let sets = format!("{}{}", "<PolicySet>".repeat(10_000), "</PolicySet>".repeat(10_000));
    assert_eq!(refused(&sets), "xml_too_deep");
    assert_eq!(refused(&" ".repeat(XML_BYTES_MAX + 1)), "xml_too_large");
    let wide =
        permit(&format!("<Target><AnyOf><AllOf>{}</AllOf></AnyOf></Target>", matching("subject id a").repeat(5_000)));
    assert!(compiled(&wide, Semantics::Standard).is_ok());
    let many = format!("<a{}/>", (0..20_000).map(|at| format!(" a{at}=''")).collect::<String>());
    assert_eq!(refused(&many), "xml_too_many_attributes");
}

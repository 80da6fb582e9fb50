//! What is printed for people and for programs, and what is read.

use policies::urn;

use super::*;

const POLICY: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0" RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides">
<Target/>
<Rule RuleId="r" Effect="Permit"><Target>
<AnyOf><AllOf>SUBJECT urn:altinn:accesspackage=jordbrukk</AllOf></AnyOf>
<AnyOf><AllOf>RESOURCE urn:altinn:resource=vat</AllOf></AnyOf>
<AnyOf><AllOf>ACTION urn:oasis:names:tc:xacml:1.0:action:action-id=read</AllOf></AnyOf>
</Target></Rule>
</Policy>
"#;

fn policy() -> String {
    let mut xml = POLICY.to_owned();
    for (name, category) in
        [("SUBJECT ", urn::CATEGORY_SUBJECT), ("RESOURCE ", urn::CATEGORY_RESOURCE), ("ACTION ", urn::CATEGORY_ACTION)]
    {
        let (before, rest) = xml.split_once(name).unwrap();
        let (id, rest) = rest.split_once('=').unwrap();
        let (value, after) = rest.split_once('<').unwrap();
        let string = "http://www.w3.org/2001/XMLSchema#string";
        xml = format!(
            r#"{before}<Match MatchId="{}"><AttributeValue DataType="{string}">{value}</AttributeValue><AttributeDesignator Category="{category}" AttributeId="{id}" DataType="{string}" MustBePresent="false"/></Match><{after}"#,
            urn::STRING_EQUAL
        );
    }
    xml
}

fn reports(files: &[(&str, &[u8])], resource: Option<&str>, semantics: Semantics) -> Vec<FileReport> {
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("packages.csv");
    std::fs::write(&names, "code,is_delegable\njordbruk,true\nfiske,true\n").unwrap();
    let paths = files.iter().map(|(name, bytes)| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    });
    let run = LintRun {
        files: paths.collect(),
        resource: resource.map(|id| ResourceId::parse(id).unwrap()),
        semantics,
        catalogue: read_catalogue(&[names]).unwrap(),
    };
    run.run().unwrap()
}

fn text(reports: &[FileReport]) -> String {
    let mut out = Vec::new();
    print_text(&mut out, reports, false).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_finding_says_where_why_and_what_to_do() {
    let found = reports(&[("vat.xml", policy().as_bytes())], None, Semantics::Altinn);
    let printed = text(&found);
    assert!(
        printed.contains("vat.xml:5: warning package_unknown: there is no access package `jordbrukk`\n"),
        "{printed}"
    );
    assert!(printed.contains("      5 | <AnyOf><AllOf><Match"), "{printed}");
    assert!(printed.contains("    fix: did you mean `jordbruk`?\n"), "{printed}");
    assert!(printed.contains("gateways enforce it for `vat` as a look-up of rules"), "{printed}");
    assert!(printed.ends_with("1 file: 0 errors, 2 warnings, 0 notes\n"), "{printed}");
    assert!(printed.lines().all(|line| line.chars().count() <= 120 || line.contains("vat.xml:")), "{printed}");
}

#[test]
fn programs_get_the_same() {
    let found = reports(&[("vat.xml", policy().as_bytes())], None, Semantics::Altinn);
    let json = found[0].to_json();
    assert_eq!(json["enforced"]["form"], "exact");
    let codes: Vec<_> =
        json["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["authentication_level_missing", "package_unknown"]);
    assert_eq!(json["findings"][1]["line"], 5);
}

#[test]
fn what_is_not_read_or_not_enforced_is_an_error() {
    let broken = reports(&[("a.xml", b"<Policy"), ("b.xml", b"\xff\xfe<\0a\0/\0>\0")], None, Semantics::Altinn);
    assert_eq!(
        broken.iter().map(|report| report.findings[0].code).collect::<Vec<_>>(),
        ["xml_malformed", "document_element"]
    );
    let printed = text(&broken);
    assert!(printed.contains("gateways do not enforce it"), "{printed}");
    let nobodys = policy().replace("urn:altinn:resource", "urn:altinn:task");
    let printed = text(&reports(&[("x.xml", nobodys.as_bytes())], None, Semantics::Altinn));
    assert!(printed.contains("x.xml: say with `--resource`"), "{printed}");
    let of_sets = policy().replace("rule-combining", "policy-combining");
    let found = reports(&[("vat.xml", of_sets.as_bytes())], None, Semantics::Standard);
    assert!(
        found[0].findings.iter().any(|one| one.code == "policy_combining_algorithm" && one.severity == Severity::Error)
    );
    let other = reports(&[("vat.xml", policy().as_bytes())], Some("other"), Semantics::Altinn);
    assert_eq!(other[0].findings.iter().filter(|one| one.code == "resource_other").count(), 1);
}

#[test]
fn the_same_is_explained_once() {
    let twice = policy().replace("</Rule>", "</Rule>\n").replacen("RuleId=\"r\"", "RuleId=\"s\"", 1);
    let (rule, _) =
        policy().split_once("</Rule>").map(|(before, after)| (before.to_owned(), after.to_owned())).unwrap();
    let (_, rule) = rule.split_once("<Rule").unwrap();
    let twice = twice.replace("</Policy>", &format!("<Rule{}</Rule></Policy>", rule.replace(">read<", ">write<")));
    let printed = text(&reports(&[("vat.xml", twice.as_bytes())], None, Semantics::Altinn));
    assert_eq!(printed.matches("package_unknown").count(), 2, "{printed}");
    assert_eq!(printed.matches("did you mean").count(), 1, "{printed}");
    assert!(printed.contains("    why and fix as on line 5\n"), "{printed}");
}

#[test]
fn what_is_evaluated_says_why() {
    let denies = policy().replace("Effect=\"Permit\"", "Effect=\"Deny\"");
    let found = reports(&[("vat.xml", denies.as_bytes())], None, Semantics::Altinn);
    let printed = text(&found);
    assert!(
        printed.contains(
            "gateways evaluate it for every call to `vat`, because\n      4: the rule denies (rule_effect)\n\n"
        ),
        "{printed}"
    );
    let required = policy().replacen("MustBePresent=\"false\"", "MustBePresent=\"true\"", 1);
    let found = reports(&[("vat.xml", required.as_bytes())], None, Semantics::Altinn);
    let printed = text(&found);
    assert!(printed.contains("  and it asks what gateways do not know:\n      5: packages that"), "{printed}");
    assert_eq!(found[0].to_json()["enforced"]["unknowable"][0]["code"], "access_packages_open");
}

#[test]
fn catalogues_are_read_in_their_forms() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let json = write(
        "p.json",
        r#"[{"urn": "urn:altinn:accesspackage:jordbruk"}, {"legacyCode": "DAGL", "urn": "urn:altinn:role:x"}]"#,
    );
    let roles = write("r.csv", "role,role_code\nregnskapsforer,REGNA\n");
    let both = write("b.csv", "role_code,package_urn\nregnskapsforer,urn:altinn:accesspackage:Lonn\n");
    let known = read_catalogue(&[&json, &roles, &both]).unwrap();
    assert_eq!(known.packages.iter().collect::<Vec<_>>(), ["jordbruk", "lonn"]);
    assert_eq!(known.roles.iter().collect::<Vec<_>>(), ["dagl", "regna"]);
    let none = write("x.csv", "a,b\n1,2\n");
    assert!(read_catalogue(&[none]).is_err());
    assert!(read_catalogue(&[folder.path().join("missing.json")]).is_err());
}

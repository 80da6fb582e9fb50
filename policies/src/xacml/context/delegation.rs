//! A delegated right as a policy, in the shape that Altinn's Access Management writes: subject, resource, actions.

use crate::urn;
use crate::xacml::ast::{
    AllOf, AnyOf, Attribute, Designator, Effect, Literal, Match, Policy, PolicyDocument, PolicyElement, Rule, Target,
};
use crate::xacml::value::DataType;
use crate::xacml::{CompiledPolicy, PolicyError, Semantics};

/// The policy that permits the actions on the resource to whoever has this attribute, with the obligations of the
/// resource's own policy. Without actions it permits nothing.
pub fn delegation_policy<'a>(
    resource: &str,
    resource_policy: &Policy,
    (attribute, value): (&str, &str),
    actions: impl IntoIterator<Item = &'a str>,
) -> Result<CompiledPolicy, PolicyError> {
    let subject = vec![is(urn::CATEGORY_SUBJECT, attribute, value)];
    let resource_is = vec![is(urn::CATEGORY_RESOURCE, urn::RESOURCE, resource)];
    let actions: Vec<_> = actions.into_iter().map(|action| is(urn::CATEGORY_ACTION, urn::ACTION_ID, action)).collect();
    // An empty list of alternatives would hold for every action.
    let rule = (!actions.is_empty()).then(|| Rule {
        line: 0,
        id: "delegation".to_owned(),
        effect: Effect::Permit,
        description: None,
        target: Target([subject, resource_is, actions].into_iter().map(AnyOf).collect()),
        condition: None,
        notices: Vec::new(),
    });
    let policy = Policy {
        line: 0,
        id: "delegation".to_owned(),
        version: resource_policy.version.clone(),
        algorithm: urn::RULE_PERMIT_OVERRIDES.to_owned(),
        description: None,
        target: Target::default(),
        variables: Vec::new(),
        rules: rule.into_iter().collect(),
        notices: resource_policy.notices.clone(),
    };
    let document = PolicyDocument { file: "delegation".to_owned(), root: PolicyElement::Policy(policy) };
    CompiledPolicy::compile(&document, &[], Semantics::Altinn)
}

/// One alternative: the attribute is this.
fn is(category: &str, attribute: &str, value: &str) -> AllOf {
    let string = DataType::String.uri().to_owned();
    AllOf(vec![Match {
        line: 0,
        function: urn::STRING_EQUAL.to_owned(),
        literal: Literal { line: 0, data_type: string.clone(), text: value.to_owned() },
        attribute: Attribute::Designator(Designator {
            line: 0,
            category: category.to_owned(),
            id: attribute.to_owned(),
            data_type: string,
            issuer: None,
            must_be_present: false,
        }),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xacml::response::Decision;
    use crate::xacml::testing::{PERMIT_OVERRIDES, answer, policy, request};

    fn decided(actions: &[&str], asked: &[&str]) -> (Decision, usize) {
        let obligation = "<ObligationExpressions><ObligationExpression ObligationId='level' FulfillOn='Permit'/></ObligationExpressions>";
        let parsed = crate::xacml::parse("p", policy("p", PERMIT_OVERRIDES, obligation).as_bytes()).unwrap();
        let PolicyElement::Policy(of_resource) = parsed.root else { panic!() };
        let to = (urn::SYSTEM_USER_UUID, "u");
        let compiled = delegation_policy("vat", &of_resource, to, actions.iter().copied()).unwrap();
        let result = answer(&compiled, &request(asked)).results.remove(0);
        (result.decision, result.obligations.len())
    }

    #[test]
    fn it_permits_its_actions_to_its_subject_with_the_resources_obligations() {
        let [subject, resource] =
            ["subject urn:altinn:systemuser:uuid string u", "resource urn:altinn:resource string vat"];
        let read = "action urn:oasis:names:tc:xacml:1.0:action:action-id string read";
        assert_eq!(decided(&["read", "write"], &[subject, resource, read]), (Decision::Permit, 1));
        assert_eq!(decided(&["write"], &[subject, resource, read]), (Decision::NotApplicable, 0));
        assert_eq!(decided(&[], &[subject, resource, read]), (Decision::NotApplicable, 0));
        let (other, elsewhere) = (subject.replace("string u", "string v"), resource.replace("vat", "tax"));
        assert_eq!(decided(&["read"], &[&other, resource, read]), (Decision::NotApplicable, 0));
        assert_eq!(decided(&["read"], &[subject, &elsewhere, read]), (Decision::NotApplicable, 0));
    }
}

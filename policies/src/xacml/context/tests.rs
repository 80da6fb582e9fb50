//! Decisions in a small world, for system users first.

use super::*;
use crate::Timestamp;
use crate::xacml::response::Notice;
use crate::xacml::testing::{PERMIT_OVERRIDES, compiled, policy, request, rule, target};

const SYSTEM_USER: &str = "6d0c1c6a-6a3f-4b0e-9c5e-0f3f8f0a9b11";
const OWNER: &str = "8a1f7f0e-1111-4b0e-9c5e-0f3f8f0a9b22";

fn any_ofs(of: &[&[&str]]) -> String {
    let inside = of.iter().map(|alternatives| target(alternatives).replace("<Target>", "").replace("</Target>", ""));
    format!("<Target>{}</Target>", inside.collect::<String>())
}

fn altinn(rules: &[&[&[&str]]], obligation: Option<&str>) -> CompiledPolicy {
    let rules = rules.iter().enumerate().map(|(at, of)| rule(&at.to_string(), "Permit", &any_ofs(of)));
    let obligation = obligation.map(|id| format!("<ObligationExpressions><ObligationExpression ObligationId='{id}' FulfillOn='Permit'/></ObligationExpressions>"));
    let xml = policy("p", PERMIT_OVERRIDES, &(rules.collect::<String>() + &obligation.unwrap_or_default()));
    compiled(&xml, Semantics::Altinn).unwrap()
}

/// One resource for holders of a package or a role, with rights of one system user delegated for one party.
fn world() -> World {
    let resource: &[&str] = &["resource urn:altinn:resource vat"];
    let read: &[&str] = &["action urn:oasis:names:tc:xacml:1.0:action:action-id read"];
    let write: &[&str] = &["action urn:oasis:names:tc:xacml:1.0:action:action-id write"];
    let packages: &[&str] = &["subject urn:altinn:accesspackage tax", "subject urn:altinn:rolecode dagl"];
    let recipient = format!("subject urn:altinn:systemuser:uuid {SYSTEM_USER}");
    let delegated: &[&str] = &[&recipient];
    World {
        policies: BTreeMap::from([("vat".to_owned(), altinn(&[&[packages, resource, read]], Some("level")))]),
        parties: vec![
            Party { id: "7".into(), uuid: OWNER.into(), organization: Some("310247049".into()), person: None },
            Party { id: "8".into(), uuid: "person".into(), organization: None, person: Some("p".into()) },
        ],
        users: BTreeMap::from([("p".to_owned(), "1".to_owned())]),
        roles: BTreeMap::from([(("1".to_owned(), "7".to_owned()), vec!["dagl".to_owned()])]),
        access_packages: vec![PackageGrant {
            from: OWNER.to_uppercase(),
            to: SYSTEM_USER.into(),
            packages: vec!["tax".into()],
        }],
        delegations: vec![Delegation {
            resource: "vat".into(),
            instance: None,
            found_by: vec![("7".into(), urn::SYSTEM_USER_UUID.into(), SYSTEM_USER.into())],
            recipient: None,
            policy: altinn(&[&[delegated, resource, write]], None),
        }],
        ..World::default()
    }
}

fn decided(world: &World, attributes: &[&str]) -> DecisionResult {
    let environment = Environment::at(Timestamp::from_unix_seconds(0));
    decide(&request(attributes), world, EntryPoint::External, environment).results.remove(0)
}

fn asks(subject: &str, action: &str, resource: &[&str]) -> Vec<String> {
    let action = format!("action urn:oasis:names:tc:xacml:1.0:action:action-id string {action}");
    let resource = resource.iter().map(|attribute| format!("resource {attribute}"));
    [format!("subject {subject}"), action].into_iter().chain(resource).collect()
}

fn is(world: &World, subject: &str, action: &str, resource: &[&str]) -> Decision {
    let attributes = asks(subject, action, resource);
    decided(world, &attributes.iter().map(String::as_str).collect::<Vec<_>>()).decision
}

const VAT: &str = "urn:altinn:resource string vat";
const OF_SEVEN: &str = "urn:altinn:partyid string 7";

#[test]
fn a_system_user_has_rights_by_package_and_by_delegation() {
    let (world, subject) = (world(), format!("urn:altinn:systemuser:uuid string {SYSTEM_USER}"));
    let organization = "urn:altinn:organization:identifier-no string 310247049";
    for party in [OF_SEVEN, organization, &format!("urn:altinn:party:uuid string {OWNER}")] {
        assert_eq!(is(&world, &subject, "read", &[VAT, party]), Decision::Permit, "{party}");
        assert_eq!(is(&world, &subject, "write", &[VAT, party]), Decision::Permit, "{party}");
        assert_eq!(is(&world, &subject, "sign", &[VAT, party]), Decision::NotApplicable, "{party}");
    }
    assert_eq!(is(&world, &subject, "read", &[VAT, "urn:altinn:partyid string 8"]), Decision::NotApplicable);
    let other = "urn:altinn:systemuser:uuid string 00000000-0000-4000-8000-000000000001";
    assert_eq!(is(&world, other, "read", &[VAT, OF_SEVEN]), Decision::NotApplicable);
}

#[test]
fn a_delegation_takes_the_obligations_of_the_resource() {
    let attributes = asks(&format!("urn:altinn:systemuser:uuid string {SYSTEM_USER}"), "write", &[VAT, OF_SEVEN]);
    let result = decided(&world(), &attributes.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(result.obligations, [Notice { id: "level".into(), assignments: Vec::new() }]);
}

#[test]
fn a_delegation_takes_those_of_a_policy_of_the_standard_too() {
    let mut world = world();
    let inside = rule("0", "Permit", &target(&["action urn:oasis:names:tc:xacml:1.0:action:action-id read"]));
    let obligation = "<ObligationExpressions><ObligationExpression ObligationId='level' FulfillOn='Permit'/></ObligationExpressions>";
    let xml = policy("p", PERMIT_OVERRIDES, &(inside + obligation));
    world.policies.insert("vat".to_owned(), compiled(&xml, Semantics::Standard).unwrap());
    let attributes = asks(&format!("urn:altinn:systemuser:uuid string {SYSTEM_USER}"), "write", &[VAT, OF_SEVEN]);
    let result = decided(&world, &attributes.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(result.decision, Decision::Permit);
    assert_eq!(result.obligations, [Notice { id: "level".into(), assignments: Vec::new() }]);
}

#[test]
fn a_person_has_rights_by_role() {
    let world = world();
    for subject in ["urn:altinn:userid string 1", "urn:altinn:person:identifier-no string p"] {
        assert_eq!(is(&world, subject, "read", &[VAT, OF_SEVEN]), Decision::Permit, "{subject}");
        assert_eq!(is(&world, subject, "write", &[VAT, OF_SEVEN]), Decision::NotApplicable, "{subject}");
    }
    assert_eq!(is(&world, "urn:altinn:userid string 2", "read", &[VAT, OF_SEVEN]), Decision::NotApplicable);
}

#[test]
fn a_person_has_rights_by_the_packages_of_a_role() {
    let mut world = world();
    world.roles.clear();
    let subject = "urn:altinn:userid string 1";
    assert_eq!(is(&world, subject, "read", &[VAT, OF_SEVEN]), Decision::NotApplicable);
    let of_user = ("1".to_owned(), "7".to_owned());
    let leader: &[&[&str]] =
        &[&["subject urn:altinn:external-role:ccr daglig-leder"], &["resource urn:altinn:resource vat"]];
    let by_role = World { policies: BTreeMap::from([("vat".to_owned(), altinn(&[leader], None))]), ..world.clone() };
    assert_eq!(is(&by_role, subject, "read", &[VAT, OF_SEVEN]), Decision::NotApplicable);
    let register_roles = BTreeMap::from([(of_user.clone(), vec!["daglig-leder".to_owned()])]);
    let by_role = World { register_roles, ..by_role };
    assert_eq!(is(&by_role, subject, "read", &[VAT, OF_SEVEN]), Decision::Permit);
    world.user_packages.insert(of_user, vec!["tax".to_owned()]);
    assert_eq!(is(&world, subject, "read", &[VAT, OF_SEVEN]), Decision::Permit);
    assert_eq!(is(&world, subject, "read", &[VAT, "urn:altinn:partyid string 8"]), Decision::NotApplicable);
}

#[test]
fn an_organization_is_known_by_its_number() {
    let mut world = world();
    let subject = "urn:altinn:organization:identifier-no string 310247049";
    assert_eq!(is(&world, subject, "read", &[VAT, "urn:altinn:partyid string 8"]), Decision::NotApplicable);
    world.access_packages.push(PackageGrant { from: "person".into(), to: OWNER.into(), packages: vec!["tax".into()] });
    assert_eq!(is(&world, subject, "read", &[VAT, "urn:altinn:partyid string 8"]), Decision::Permit);
    // Consent: nobody is acted for, and the organisation is looked at itself.
    let listed: &[&[&str]] = &[&["subject urn:altinn:access-list skd:banks"], &["resource urn:altinn:resource vat"]];
    world.policies.insert("vat".to_owned(), altinn(&[listed], None));
    world.access_lists.insert(OWNER.to_owned(), vec!["skd:banks".to_owned()]);
    assert_eq!(is(&world, subject, "read", &[VAT]), Decision::Permit);
    assert_eq!(is(&world, subject, "read", &[VAT, OF_SEVEN]), Decision::NotApplicable);
}

#[test]
fn an_organization_by_its_old_number_is_the_same_and_has_a_party() {
    let mut world = world();
    let resource: &[&str] = &["resource urn:altinn:resource vat"];
    let (number, party): (&[&str], &[&str]) =
        (&["subject urn:altinn:organization:identifier-no 310247049"], &["subject urn:altinn:partyid 7"]);
    let old = "urn:altinn:organizationnumber string 310247049";
    for subjects in [number, party] {
        world.policies.insert("vat".to_owned(), altinn(&[&[subjects, resource]], None));
        assert_eq!(is(&world, old, "read", &[VAT, OF_SEVEN]), Decision::Permit);
    }
    // The inner door knows the organisation, and not its party.
    let attributes = asks(old, "read", &[VAT, OF_SEVEN]);
    let request = request(&attributes.iter().map(String::as_str).collect::<Vec<_>>());
    let environment = Environment::at(Timestamp::from_unix_seconds(0));
    let internal = decide(&request, &world, EntryPoint::Internal, environment).results.remove(0);
    assert_eq!(internal.decision, Decision::NotApplicable);
}

#[test]
fn a_policy_of_the_standard_answers_as_the_standard_says() {
    let mut world = world();
    let read: &[&str] = &["action urn:oasis:names:tc:xacml:1.0:action:action-id read"];
    let xml =
        policy("p", PERMIT_OVERRIDES, &rule("0", "Permit", &any_ofs(&[&["resource urn:altinn:resource vat"], read])));
    world.policies.insert("vat".to_owned(), compiled(&xml, Semantics::Standard).unwrap());
    let attributes = asks("urn:altinn:userid string 1", "read", &[VAT]);
    let mut request = request(&attributes.iter().map(String::as_str).collect::<Vec<_>>());
    request.return_policy_ids = true;
    request
        .categories
        .push(request.categories.iter().find(|one| one.category == urn::CATEGORY_ACTION).unwrap().clone());
    let environment = Environment::at(Timestamp::from_unix_seconds(0));
    let results = decide_as(Semantics::Standard, &request, &world, EntryPoint::External, environment).results;
    // A repeated category asks for a decision each.
    let decided: Vec<_> = results.iter().map(|one| (one.decision, one.policies.len())).collect();
    assert_eq!(decided, [(Decision::Permit, 1), (Decision::Permit, 1)]);
    request.combined_decision = true;
    let refused = decide_as(Semantics::Standard, &request, &world, EntryPoint::External, environment).results;
    assert_eq!(refused[0].decision, Decision::Indeterminate);
}

#[test]
fn an_access_list_denies_what_else_is_permitted() {
    let mut world = world();
    world.restricted_resources.insert("vat".to_owned());
    let subject = "urn:altinn:userid string 1";
    assert_eq!(is(&world, subject, "read", &[VAT, OF_SEVEN]), Decision::Deny);
    let attributes = asks(subject, "read", &[VAT, OF_SEVEN]);
    let denied = decided(&world, &attributes.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((denied.status.code, denied.status.message.as_deref()), (StatusCode::Ok, Some(NOT_LISTED)));
    let member =
        Membership { organization: "310247049".into(), resource: "vat".into(), actions: Some(vec!["write".into()]) };
    world.memberships.push(member.clone());
    assert_eq!(is(&world, subject, "read", &[VAT, OF_SEVEN]), Decision::Deny);
    world.memberships.push(Membership { actions: None, ..member });
    assert_eq!(is(&world, subject, "read", &[VAT, OF_SEVEN]), Decision::Permit);
    assert_eq!(is(&world, subject, "sign", &[VAT, OF_SEVEN]), Decision::NotApplicable);
}

#[test]
fn an_instance_tells_app_and_party() {
    let mut world = world();
    let of_app: &[&str] = &["resource urn:altinn:app report"];
    world
        .policies
        .insert("app_skd_report".to_owned(), altinn(&[&[of_app, &["subject urn:altinn:rolecode dagl"]]], None));
    let instance = Instance {
        owner: "skd".into(),
        app: "report".into(),
        party: "7".into(),
        task: Some("Task_1".into()),
        end_event: None,
    };
    world.instances.insert("7/i".to_owned(), instance);
    let attributes = asks("urn:altinn:userid string 1", "read", &["urn:altinn:instance-id string 7/i"]);
    let result = decided(&world, &attributes.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(result.decision, Decision::Permit);
    // The party that was found is told.
    assert_eq!(result.categories[0].attributes[0].values[0].text, "7");
    assert_eq!(
        is(&world, "urn:altinn:userid string 1", "read", &["urn:altinn:resource string app_skd_report", OF_SEVEN]),
        Decision::Permit
    );
}

#[test]
fn an_instance_tells_only_what_is_asked_for() {
    let mut world = world();
    let at_task: &[&[&str]] = &[&["resource urn:altinn:task Task_1"]];
    let at_end: &[&[&str]] = &[&["resource urn:altinn:end-event End"]];
    let instance = Instance {
        owner: "skd".into(),
        app: "report".into(),
        party: "7".into(),
        task: Some("Task_1".into()),
        end_event: Some("End".into()),
    };
    world.instances.insert("7/i".to_owned(), instance.clone());
    let subject = "urn:altinn:userid string 1";
    let id = "urn:altinn:instance-id string 7/i";
    let app = ["urn:altinn:org string skd", "urn:altinn:app string report", OF_SEVEN, id];
    let events = [&app[..], &["urn:altinn:appresource string events"]].concat();
    let at_another = [&app[..], &["urn:altinn:task string Task_2"]].concat();
    for (rule, asked, decision) in [
        (at_task, &app[..], Decision::Permit),
        (at_task, &events[..], Decision::NotApplicable),
        (at_task, &at_another[..], Decision::NotApplicable),
        // At a task it has not ended.
        (at_end, &app[..], Decision::NotApplicable),
    ] {
        world.policies.insert("app_skd_report".to_owned(), altinn(&[rule], None));
        assert_eq!(is(&world, subject, "read", asked), decision, "{asked:?}");
    }
    world.instances.insert("7/i".to_owned(), Instance { task: None, ..instance });
    assert_eq!(is(&world, subject, "read", &app), Decision::Permit);
}

#[test]
fn a_delegation_for_one_instance_is_for_that() {
    let mut world = world();
    world.delegations[0].instance = Some("I".to_owned());
    let subject = format!("urn:altinn:systemuser:uuid string {SYSTEM_USER}");
    let with = |instance: &str| is(&world, &subject, "write", &[VAT, OF_SEVEN, instance]);
    for (instance, decision) in [
        ("urn:altinn:resource:instance-id string i", Decision::Permit),
        ("urn:altinn:resource:instance-id string 7/i", Decision::Permit),
        ("urn:altinn:instance-id string 7/i", Decision::Permit),
        ("urn:altinn:resource:instance-id string j", Decision::NotApplicable),
        ("urn:altinn:other string i", Decision::NotApplicable),
    ] {
        assert_eq!(with(instance), decision, "{instance}");
    }
}

#[test]
fn a_delegation_that_cannot_be_evaluated_ends_the_look_at_them() {
    let mut world = world();
    let subject = format!("urn:altinn:systemuser:uuid string {SYSTEM_USER}");
    assert_eq!(is(&world, &subject, "write", &[VAT, OF_SEVEN]), Decision::Permit);
    let thrown =
        policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &crate::xacml::testing::condition("(and boolean:true)")));
    let thrown = Delegation { policy: compiled(&thrown, Semantics::Altinn).unwrap(), ..world.delegations[0].clone() };
    world.delegations.insert(0, thrown);
    assert_eq!(is(&world, &subject, "write", &[VAT, OF_SEVEN]), Decision::NotApplicable);
}

#[test]
fn wrong_requests_are_one_indeterminate() {
    let world = world();
    let system_user = format!("subject urn:altinn:systemuser:uuid string {SYSTEM_USER}");
    let vat = format!("resource {VAT}");
    for attributes in [
        &[vat.as_str()][..],
        &[&system_user, &system_user, &vat],
        &[&system_user, "subject urn:altinn:userid string 1", &vat],
        &["subject urn:altinn:systemuser:uuid string x", &vat],
        &["subject urn:altinn:person:identifier-no string p", "subject urn:altinn:userid string 1", &vat],
        &["subject urn:altinn:organizationnumber string 310247049", "subject urn:altinn:userid string 1", &vat],
        &["subject urn:altinn:party:uuid string x", &vat],
        &[&system_user],
        &[&system_user, "resource urn:altinn:resource string other"],
    ] {
        let result = decided(&world, attributes);
        assert_eq!(
            (result.decision, result.status.code),
            (Decision::Indeterminate, StatusCode::ProcessingError),
            "{attributes:?}"
        );
    }
    let internal = |attributes: &[&str]| {
        decide(&request(attributes), &world, EntryPoint::Internal, Environment::at(Timestamp::from_unix_seconds(0)))
    };
    let person = internal(&["subject urn:altinn:person:identifier-no string p", &vat]);
    assert_eq!(person.results[0].status.code, StatusCode::SyntaxError);
}

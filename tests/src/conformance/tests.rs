//! Suites as they are found: counted, whatever their layout and the form of their files.

use super::*;

const POLICY: &str = r#"<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0" RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/><Rule RuleId="r" Effect="Permit"/></Policy>"#;
const JSON_REQUEST: &str = r#"{"Request":{"Action":{"Attribute":{"AttributeId":"a","Value":"b"}}}}"#;
const XML_REQUEST: &str = r#"<Request xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" ReturnPolicyIdList="false" CombinedDecision="false"/>"#;
const XML_RESPONSE: &str = r#"<Response xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17"><Result><Decision>Permit</Decision><Status><StatusCode Value="urn:oasis:names:tc:xacml:1.0:status:ok"/></Status></Result></Response>"#;
const DECIDES: &str = r#"{"expect":{"status":["ok"]}}"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, case: &str, files: &[(&str, &[u8])]) {
        for (name, bytes) in files {
            let path = self.0.path().join(case).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// Reports as they are printed, a line for each suite.
    fn run(&self, inside: &str, semantics: Option<Semantics>) -> Vec<String> {
        let reports = run(&[self.0.path().join(inside)], semantics).unwrap();
        reports.iter().map(ToString::to_string).collect()
    }
}

fn response(decision: &str) -> String {
    format!(
        "\u{feff}{{\"Response\":[{{\"decision\":\"{decision}\",\"Status\":{{\"StatusCode\":{{\"Value\":\"urn:oasis:names:tc:xacml:1.0:status:ok\"}},}},}}]}}"
    )
}

fn utf16(text: &str) -> Vec<u8> {
    let marked = format!("\u{feff}{text}");
    marked.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// One suite of four cases: equal, different, rightly refused, not understood.
#[test]
fn a_suite_is_counted_and_nothing_is_skipped() {
    let folder = Folder::new();
    for (case, decision) in [("own-suite/equal", "Permit"), ("own-suite/different", "Deny")] {
        let answer = response(decision);
        folder.write(
            case,
            &[
                ("case.json", DECIDES.as_bytes()),
                ("policy.xml", POLICY.as_bytes()),
                ("request.json", JSON_REQUEST.as_bytes()),
                ("response.json", answer.as_bytes()),
            ],
        );
    }
    let invalid = br#"{"expect":{"result":"invalid-policy"}}"#;
    folder.write("own-suite/refused", &[("case.json", invalid), ("policy.xml", b"<Policy/>")]);
    let surprise = br#"{"expect":{"result":"surprise"}}"#;
    folder.write("own-suite/unknown", &[("case.json", surprise), ("policy.xml", POLICY.as_bytes())]);
    let reports = run(&[folder.0.path().to_owned()], None).unwrap();
    assert_eq!((reports.len(), reports[0].name.as_str(), reports[0].equal), (1, "own-suite", 2));
    assert_eq!(reports[0].different.keys().collect::<Vec<_>>(), ["different", "unknown"]);
    assert!(!reports[0].is_equal());
    assert!(reports[0].to_string().starts_with("own-suite: 4 cases, 2 equal, 2 different\n"));
    assert_eq!(folder.run("own-suite/equal", None), ["own-suite: 1 cases, 1 equal, 0 different"]);
    assert!(run(&[folder.0.path().join("own-suite/equal/none")], None).is_err());
}

#[test]
fn suites_are_found_however_deep_and_in_every_form() {
    let folder = Folder::new();
    let in_utf16 = [
        ("case.json", utf16(DECIDES)),
        ("policy.xml", utf16(POLICY)),
        ("request.json", utf16(JSON_REQUEST)),
        ("response.json", utf16(response("Permit").trim_start_matches('\u{feff}'))),
    ];
    folder.write("x/y/deep/utf16", &in_utf16.each_ref().map(|(name, bytes)| (*name, bytes.as_slice())));
    folder.write(
        "x/y/deep/xml",
        &[
            ("case.json", b"\xef\xbb\xbf{\"expect\":{\"decisions\":[\"Permit\"]}}"),
            ("policy.xml", POLICY.as_bytes()),
            ("request.xml", XML_REQUEST.as_bytes()),
            ("response.xml", XML_RESPONSE.as_bytes()),
        ],
    );
    // The answer is only declared, and the policy is among others that one refers to.
    let set = r#"<PolicySet xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicySetId="s" Version="1.0" PolicyCombiningAlgId="urn:oasis:names:tc:xacml:3.0:policy-combining-algorithm:deny-overrides"><Target/><PolicyIdReference>p</PolicyIdReference></PolicySet>"#;
    folder.write(
        "x/other/several",
        &[
            ("case.json", br#"{"expect":{"decisions":["Permit"],"status":["ok"]}}"#),
            ("policies/a.xml", POLICY.as_bytes()),
            ("policies/more/b.xml", set.as_bytes()),
            ("request.xml", XML_REQUEST.as_bytes()),
        ],
    );
    folder.write("x/other/undecided", &[("case.json", br#"{"expect":{}}"#), ("policy.xml", POLICY.as_bytes())]);
    let printed = folder.run("", None);
    assert!(
        printed[0].starts_with("other: 2 cases, 1 equal, 1 different\n  undecided: could not be run: "),
        "{printed:?}"
    );
    assert_eq!(printed[1..], ["deep: 2 cases, 2 equal, 0 different"]);
}

#[test]
fn a_suite_says_how_it_is_read() {
    let folder = Folder::new();
    // Altinn does not know it: Indeterminate.
    let legacy = POLICY.replace("xacml:3.0:rule", "xacml:1.0:rule");
    let files: [(&str, &[u8]); 3] = [
        ("case.json", br#"{"suite":"altinn-decisions","expect":{"decisions":["Indeterminate"]}}"#),
        ("policy.xml", legacy.as_bytes()),
        ("request.xml", XML_REQUEST.as_bytes()),
    ];
    folder.write("part/of-it", &files);
    assert_eq!(folder.run("", None), ["part: 1 cases, 1 equal, 0 different"]);
    assert_eq!(folder.run("", Some(Semantics::Altinn)), ["part: 1 cases, 1 equal, 0 different"]);
    let different = folder.run("", Some(Semantics::Standard));
    assert!(different[0].starts_with("part: 1 cases, 0 equal, 1 different\n"), "{different:?}");
}

/// Who finds out when deciding answers Indeterminate where we refuse; and results of the standard have no order.
#[test]
fn refusals_and_orders_that_say_the_same_are_equal() {
    let folder = Folder::new();
    let wrong = POLICY.replace("deny-overrides", "unheard-of");
    let expecting = |decision: &str| format!(r#"{{"expect":{{"decisions":["{decision}"]}}}}"#);
    for (case, decision) in [("open", "Indeterminate"), ("permit", "Permit")] {
        let files: [(&str, &[u8]); 3] = [
            ("case.json", &expecting(decision).into_bytes()),
            ("policy.xml", wrong.as_bytes()),
            ("request.xml", XML_REQUEST.as_bytes()),
        ];
        folder.write(&format!("refused/{case}"), &files);
    }
    let printed = folder.run("refused", None).remove(0);
    assert!(
        printed.starts_with("refused: 2 cases, 1 equal, 1 different\n  permit: the policy is refused: "),
        "{printed}"
    );

    let results = |values: [&str; 2]| {
        let result = |value: &&str| {
            format!(
                r#"{{"Decision":"Permit","Status":{{"StatusCode":{{"Value":"urn:oasis:names:tc:xacml:1.0:status:ok"}}}},"Category":[{{"CategoryId":"urn:oasis:names:tc:xacml:3.0:attribute-category:action","Attribute":[{{"AttributeId":"a","Value":"{value}"}}]}}]}}"#
            )
        };
        format!(r#"{{"Response":[{}]}}"#, values.iter().map(result).collect::<Vec<_>>().join(","))
    };
    let asked =
        |value: &str| format!(r#"{{"Attribute":{{"AttributeId":"a","Value":"{value}","IncludeInResult":true}}}}"#);
    let request = format!(r#"{{"Request":{{"Action":[{},{}]}}}}"#, asked("b"), asked("c"));
    let both = DECIDES.replace(r#""ok""#, r#""ok","ok""#);
    for (case, values) in [("as-asked", ["b", "c"]), ("other-order", ["c", "b"]), ("other-values", ["b", "d"])] {
        let files: [(&str, &[u8]); 4] = [
            ("case.json", both.as_bytes()),
            ("policy.xml", POLICY.as_bytes()),
            ("request.json", request.as_bytes()),
            ("response.json", &results(values).into_bytes()),
        ];
        folder.write(&format!("several/{case}"), &files);
    }
    let printed = folder.run("several", None).remove(0);
    assert!(printed.starts_with("several: 3 cases, 2 equal, 1 different\n  other-values: "), "{printed}");
}

/// A world beside the cases, in `_mocks` or not, is the one that they are decided in.
#[test]
fn the_nearest_world_is_used() {
    let folder = Folder::new();
    let world = r#"{"delegations":[],"access_packages":[{"from":"1","to":"2","packages":["x"]}]}"#;
    let request = r#"{"Request":{"AccessSubject":[{"Attribute":[{"AttributeId":"urn:altinn:userid","Value":"1"}]}],"Resource":[{"Attribute":[{"AttributeId":"urn:altinn:resource","Value":"vat"}]}],"Action":[{"Attribute":[{"AttributeId":"a","Value":"b"}]}]}}"#;
    for (suite, place) in [("one", "one/_mocks"), ("two", "two")] {
        folder.write(place, &[("world.json", world.as_bytes())]);
        folder.write(
            &format!("{suite}/case"),
            &[
                ("case.json", br#"{"suite":"altinn-x","expect":{"decisions":["Permit"]}}"#),
                ("policies/ResourceRegistry__vat.xml", POLICY.as_bytes()),
                ("request.json", request.as_bytes()),
            ],
        );
    }
    assert_eq!(folder.run("", None), ["one: 1 cases, 1 equal, 0 different", "two: 1 cases, 1 equal, 0 different"]);
}

#[test]
fn rules_are_compared_with_their_policies() {
    let folder = Folder::new();
    let one = |category: &str, id: &str, value: &str| {
        format!(
            r#"<AnyOf><AllOf><Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal"><AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">{value}</AttributeValue><AttributeDesignator Category="{category}" AttributeId="{id}" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="false"/></Match></AllOf></AnyOf>"#
        )
    };
    let target = [
        one(policies::urn::CATEGORY_SUBJECT, policies::urn::ACCESS_PACKAGE, "jordbruk"),
        one(policies::urn::CATEGORY_RESOURCE, policies::urn::RESOURCE, "vat"),
        one(policies::urn::CATEGORY_ACTION, policies::urn::ACTION_ID, "read"),
    ];
    let exact = POLICY.replace(r#""Permit"/>"#, &format!(r#""Permit"><Target>{}</Target></Rule>"#, target.concat()));
    let general = exact.replace("Effect=\"Permit\"", "Effect=\"Deny\"");
    let valid = br#"{"expect":{"result":"valid-policy"}}"#;
    for (case, policy) in [("a", &exact), ("b", &general), ("c", &POLICY.to_owned()), ("d", &String::new())] {
        folder.write(&format!("altinn-x/{case}"), &[("case.json", valid), ("policy.xml", policy.as_bytes())]);
    }
    let reports = run(&[folder.0.path().to_owned()], None).unwrap();
    let forms = &reports[0].forms;
    assert!(forms.requests > 20);
    let expected =
        format!("altinn-x: 4 policies, 1 exact, 1 general, {} requests compared, 0 different", forms.requests);
    assert_eq!(forms.to_string(), expected);
}

//! Every function, called through policies: `expression = value`, or what goes wrong.

use super::*;
use crate::xacml::Semantics;
use crate::xacml::response::{Decision, StatusCode};
use crate::xacml::testing::{PERMIT_OVERRIDES, compiled, condition, decide, policy, request, rule};

/// Whether a condition holds, or the status of what went wrong.
fn holds(text: &str) -> Result<bool, StatusCode> {
    let attributes = [
        "subject age integer 45",
        "subject age integer 7",
        "subject name string Bart",
        "subject one integer 5",
        "subject when dateTime 2002-03-22T08:23:47-05:00",
    ];
    let xml = policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &condition(text)));
    let result = decide(&xml, &request(&attributes), Semantics::Standard);
    match result.decision {
        Decision::Permit => Ok(true),
        Decision::NotApplicable => Ok(false),
        _ => Err(result.status.code),
    }
}

#[test]
fn functions_compute_what_the_standard_says() {
    for text in [
        "(string-equal string:a string:a)",
        "(3.0/string-equal-ignore-case string:Ås string:åS)",
        "(not (string-equal string:a string:A))",
        "(integer-equal (integer-add integer:1 integer:2 integer:3) integer:6)",
        "(integer-equal (integer-subtract integer:1 integer:2) integer:-1)",
        "(integer-equal (integer-multiply integer:4 integer:-2) integer:-8)",
        "(integer-equal (integer-divide integer:-7 integer:2) integer:-3)",
        "(integer-equal (integer-mod integer:-7 integer:2) integer:-1)",
        "(integer-equal (integer-abs integer:-7) integer:7)",
        "(double-equal (double-abs double:-0.5) double:0.5)",
        "(double-equal (double-divide double:1 double:4) double:0.25)",
        "(double-equal (double-multiply double:2 double:3) (double-add double:4 double:2))",
        "(double-equal (round double:2.5) double:3)",
        "(double-equal (round double:-2.5) double:-2)",
        "(double-equal (round double:-2.6) double:-3)",
        "(double-equal (floor double:-2.1) double:-3)",
        "(integer-equal (double-to-integer double:-2.9) integer:-2)",
        "(double-equal (integer-to-double integer:3) double:3)",
        "(string-equal (string-normalize-space string:~a~b~) string:a~b)",
        "(string-equal (string-normalize-to-lower-case string:ÆØ) string:æø)",
        "(and)",
        "(not (or))",
        "(and boolean:true boolean:1)",
        "(or boolean:false boolean:true)",
        "(n-of integer:0)",
        "(n-of integer:2 boolean:true boolean:false boolean:true)",
        "(not (n-of integer:2 boolean:true boolean:false))",
        "(integer-greater-than integer:2 integer:1)",
        "(integer-less-than-or-equal integer:2 integer:2)",
        "(string-less-than string:Z string:a)",
        "(date-less-than date:2002-03-22 date:2002-03-23)",
        "(time-greater-than-or-equal time:08:00:00Z time:09:00:00+02:00)",
        "(2.0/time-in-range time:23:30:00Z time:22:00:00Z time:02:00:00Z)",
        "(dateTime-equal (3.0/dateTime-add-dayTimeDuration dateTime:2002-03-22T08:00:00 dayTimeDuration:P1DT1H) dateTime:2002-03-23T09:00:00)",
        "(dateTime-equal (3.0/dateTime-subtract-yearMonthDuration dateTime:2002-03-22T08:00:00 yearMonthDuration:P1Y) dateTime:2001-03-22T08:00:00)",
        "(date-equal (3.0/date-add-yearMonthDuration date:2002-01-31 yearMonthDuration:P1M) date:2002-02-28)",
        "(string-equal (2.0/string-concatenate string:a string:b string:c) string:abc)",
        "(anyURI-equal (2.0/uri-string-concatenate anyURI:urn:a string::b) anyURI:urn:a:b)",
        "(integer-equal (3.0/integer-from-string string:42) integer:42)",
        "(string-equal (3.0/string-from-date date:2002-01-31Z) string:2002-01-31Z)",
        "(3.0/string-starts-with string:Ba string:Bart)",
        "(3.0/anyURI-ends-with string:x anyURI:urn:x)",
        "(3.0/string-contains string:ar string:Bart)",
        "(string-equal (3.0/string-substring string:Bløt integer:1 integer:3) string:lø)",
        "(string-equal (3.0/anyURI-substring anyURI:urn:a integer:4 integer:-1) string:a)",
        "(string-regexp-match string:^B.*t$ string:Bart)",
        "(2.0/x500Name-regexp-match string:Medi x500Name:o=Medi,c=US)",
        "(x500Name-match x500Name:C=us x500Name:o=Medi,c=US)",
        "(rfc822Name-match string:.com rfc822Name:a@b.COM)",
        "(rfc822Name-equal rfc822Name:a@B.com rfc822Name:a@b.com)",
        "(hexBinary-equal hexBinary:0f hexBinary:0F)",
        "(string-is-in string:b (string-bag string:a string:b))",
        "(integer-equal (integer-bag-size {integer subject age}) integer:2)",
        "(integer-equal (integer-one-and-only {integer subject one}) integer:5)",
        "(integer-set-equals (integer-union (integer-bag integer:1 integer:1) (integer-bag integer:2)) (integer-bag integer:2 integer:1))",
        "(integer-equal (integer-bag-size (integer-intersection (integer-bag integer:1 integer:1) (integer-bag integer:1))) integer:1)",
        "(integer-subset (integer-bag integer:1) (integer-bag integer:2 integer:1))",
        "(integer-at-least-one-member-of (integer-bag integer:1 integer:3) (integer-bag integer:2 integer:1))",
        "(any-of 'integer-greater-than integer:10 {integer subject age})",
        "(not (all-of 'integer-greater-than integer:10 {integer subject age}))",
        "(any-of-any 'integer-equal {integer subject age} (integer-bag integer:7))",
        "(3.0/any-of-any 'integer-equal integer:7 {integer subject age})",
        "(all-of-any 'integer-greater-than (integer-bag integer:10 integer:20) (integer-bag integer:1 integer:19))",
        "(not (all-of-any 'integer-greater-than (integer-bag integer:1 integer:20) (integer-bag integer:1 integer:19)))",
        "(any-of-all 'integer-greater-than (integer-bag integer:3 integer:5) (integer-bag integer:1 integer:4))",
        "(not (any-of-all 'integer-greater-than (integer-bag integer:3) (integer-bag integer:1 integer:4)))",
        "(all-of-all 'integer-greater-than (integer-bag integer:6 integer:5) (integer-bag integer:1 integer:4))",
        "(string-is-in string:bart (map 'string-normalize-to-lower-case {string subject name}))",
        "(dateTime-less-than (dateTime-one-and-only {dateTime subject when}) (dateTime-one-and-only {dateTime environment urn:oasis:names:tc:xacml:1.0:environment:current-dateTime}))",
        "(2.0/ipAddress-regexp-match string:^10 ipAddress:10.0.0.1)",
        "(2.0/dnsName-regexp-match string:org$ dnsName:a.org)",
        "(integer-equal (2.0/ipAddress-bag-size (2.0/ipAddress-bag ipAddress:10.0.0.1)) integer:1)",
    ] {
        assert_eq!(holds(text), Ok(true), "{text}");
    }
}

#[test]
fn what_has_no_result_is_indeterminate() {
    for (text, status) in [
        ("(integer-equal (integer-divide integer:1 integer:0) integer:1)", StatusCode::ProcessingError),
        ("(double-equal (double-divide double:1 double:0) double:1)", StatusCode::ProcessingError),
        ("(integer-equal (integer-mod integer:1 integer:0) integer:1)", StatusCode::ProcessingError),
        ("(integer-equal (integer-one-and-only {integer subject age}) integer:7)", StatusCode::ProcessingError),
        ("(integer-equal (integer-one-and-only {integer subject none}) integer:7)", StatusCode::ProcessingError),
        ("(integer-equal (integer-one-and-only {!integer subject none}) integer:7)", StatusCode::MissingAttribute),
        (
            "(integer-equal (3.0/integer-from-string (string-one-and-only {string subject name})) integer:1)",
            StatusCode::SyntaxError,
        ),
        (
            "(integer-equal (integer-multiply integer:99999999999999999999999 integer:99999999999999999999999) integer:1)",
            StatusCode::ProcessingError,
        ),
        ("(integer-equal (double-to-integer double:INF) integer:1)", StatusCode::ProcessingError),
        ("(string-equal (3.0/string-substring string:a integer:0 integer:2) string:a)", StatusCode::ProcessingError),
        ("(n-of integer:2 boolean:true)", StatusCode::ProcessingError),
        ("(and boolean:true (integer-is-in integer:1 {!integer subject none}))", StatusCode::MissingAttribute),
        (
            "(date-equal (3.0/date-add-yearMonthDuration date:2002-01-31 yearMonthDuration:P999999999999M) date:2002-02-28)",
            StatusCode::ProcessingError,
        ),
    ] {
        assert_eq!(holds(text), Err(status), "{text}");
    }
}

#[test]
fn what_is_known_without_a_failed_argument_is_known() {
    let missing = "(integer-is-in integer:1 {!integer subject none})";
    for (text, answer) in [
        (format!("(or {missing} boolean:true)"), Ok(true)),
        (format!("(or boolean:true {missing})"), Ok(true)),
        (format!("(and {missing} boolean:false)"), Ok(false)),
        (format!("(and boolean:true boolean:false {missing} {missing})"), Ok(false)),
        (format!("(n-of integer:1 {missing} boolean:true)"), Ok(true)),
        (format!("(n-of integer:2 {missing} boolean:false)"), Ok(false)),
        (format!("(or {missing} boolean:false)"), Err(StatusCode::MissingAttribute)),
    ] {
        assert_eq!(holds(&text), answer, "{text}");
    }
}

#[test]
fn what_cannot_be_typed_is_refused() {
    for (text, code) in [
        ("(string-equal string:a)", "argument_count"),
        ("(string-equal string:a integer:1)", "argument_type"),
        ("(string-equal string:a {string subject name})", "argument_type"),
        ("(integer-subtract integer:1 integer:1)", "condition_type"),
        ("string:a", "condition_type"),
        ("(nonsense string:a)", "function_unknown"),
        ("(2.0/string-equal string:a string:a)", "function_unknown"),
        ("(boolean-greater-than boolean:1 boolean:1)", "function_unknown"),
        ("(integer-equal integer:x integer:1)", "value_invalid"),
        ("(urn:x:equal string:a)", "function_unknown"),
        ("(string-equal urn:nonsense:a string:a)", "data_type_unknown"),
        ("(string-regexp-match string:[a string:a)", "pattern_invalid"),
        ("(string-equal (3.0/string-substring string:a integer:-2 integer:1) string:a)", "argument_value"),
        ("(string-equal (3.0/string-substring string:a integer:2 integer:1) string:a)", "argument_value"),
        ("(any-of 'integer-equal integer:1 integer:1)", "argument_type"),
        ("(any-of 'integer-add integer:1 {integer subject age})", "argument_type"),
        ("(any-of 'integer-equal string:a {integer subject age})", "argument_type"),
        ("(any-of integer:1 {integer subject age})", "function_missing"),
        ("(any-of 'nonsense integer:1 {integer subject age})", "function_unknown"),
        ("(and 'integer-equal)", "function_place"),
        ("$nowhere", "variable_unknown"),
    ] {
        let xml = policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &condition(text)));
        let error = compiled(&xml, Semantics::Standard).map(drop).unwrap_err();
        assert_eq!(error.code, code, "{text}: {error}");
    }
}

/// XACML 3.0, 10.2.8: how many functions each type has in each version.
#[test]
fn the_table_of_functions_is_complete() {
    let uri = |version: &str, name: String| format!("urn:oasis:names:tc:xacml:{version}:function:{name}");
    let found = |version: &str, kind: DataType, rest: &str| {
        Function::from_uri(&uri(version, format!("{kind}-{rest}"))).is_some()
    };
    for kind in DataType::all() {
        let version = match kind {
            DataType::IpAddress | DataType::DnsName => "2.0",
            DataType::DayTimeDuration | DataType::YearMonthDuration => "3.0",
            _ => "1.0",
        };
        for rest in ["one-and-only", "bag-size", "bag"] {
            assert!(found(version, kind, rest), "{kind}-{rest}");
        }
        for rest in ["equal", "is-in", "intersection", "at-least-one-member-of", "union", "subset", "set-equals"] {
            assert_eq!(found(version, kind, rest), version != "2.0", "{kind}-{rest}");
        }
        assert_eq!(found("3.0", kind, "from-string"), kind != DataType::String);
        assert_eq!(Function::from_uri(&uri("3.0", format!("string-from-{kind}"))).is_some(), kind != DataType::String);
    }
    assert_eq!(Function::from_uri("urn:oasis:names:tc:xacml:3.0:function:access-permitted"), None);
    assert_eq!(Function::from_uri("urn:oasis:names:tc:xacml:3.0:function:xpath-node-count"), None);
}

#[test]
fn work_is_paid_for() {
    let values = format!("(integer-bag {})", "integer:1 ".repeat(3_000));
    let text = format!("(integer-set-equals {values} {values})");
    let xml = policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &condition(&text)));
    let result = decide(&xml, &request(&[]), Semantics::Standard);
    assert_eq!((result.decision, result.status.code), (Decision::Indeterminate, StatusCode::ProcessingError));
}

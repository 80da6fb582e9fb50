//! Policies and requests made up by dice, typed so that most of them compile.

use super::Dice;
use crate::urn;
use crate::xacml::CompiledPolicy;
use crate::xacml::Semantics;
use crate::xacml::functions::{EVERY_FUNCTION, Function, HigherOrder, Type};
use crate::xacml::request::Request;
use crate::xacml::testing::{self, PERMIT_OVERRIDES, compiled, policy_set, request, rule};
use crate::xacml::value::DataType;

const RULE_ALGORITHMS: [&str; 7] = [
    PERMIT_OVERRIDES,
    "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides",
    "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-unless-permit",
    "urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:permit-unless-deny",
    "urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:first-applicable",
    "urn:oasis:names:tc:xacml:1.0:rule-combining-algorithm:deny-overrides",
    "urn:oasis:names:tc:xacml:1.1:rule-combining-algorithm:ordered-permit-overrides",
];
const SET_ALGORITHMS: [&str; 5] = [
    "urn:oasis:names:tc:xacml:3.0:policy-combining-algorithm:deny-overrides",
    "urn:oasis:names:tc:xacml:3.0:policy-combining-algorithm:permit-unless-deny",
    "urn:oasis:names:tc:xacml:1.0:policy-combining-algorithm:only-one-applicable",
    "urn:oasis:names:tc:xacml:1.0:policy-combining-algorithm:first-applicable",
    "urn:oasis:names:tc:xacml:1.0:policy-combining-algorithm:permit-overrides",
];
/// Category, id, and texts that occur.
const ATTRIBUTES: [(&str, &str, &[&str]); 7] = [
    ("subject", urn::SYSTEM_USER_UUID, &["47caea5b-a80b-4343-b1d3-31eb523a4e28", "a"]),
    ("subject", urn::ACCESS_PACKAGE, &["skattegrunnlag", "a", "b", "B"]),
    ("resource", urn::RESOURCE, &["app_ttd_a", "vat", "a"]),
    ("resource", urn::APP_OWNER, &["ttd", "a"]),
    ("resource", urn::ORGANIZATION_NUMBER, &["310247049", "a"]),
    ("action", urn::ACTION_ID, &["read", "write", "a"]),
    ("subject", "age", &["4", "a"]),
];

impl Dice {
    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A policy that compiles.
pub(crate) fn a_policy(dice: &mut Dice, semantics: Semantics) -> CompiledPolicy {
    loop {
        let xml = match semantics {
            Semantics::Standard if dice.one_in(4) => a_set(dice, 0),
            _ => one_policy(dice, "p", semantics),
        };
        if let Ok(policy) = compiled(&xml, semantics) {
            return policy;
        }
    }
}

/// A request with some of the attributes that the policies speak of.
pub(crate) fn a_request(dice: &mut Dice) -> Request {
    let mut attributes = Vec::new();
    for (category, id, texts) in ATTRIBUTES {
        for _ in 0..dice.below(3) {
            attributes.push(match dice.below(8) {
                0 => format!("{category} {id} integer {}", dice.below(6)),
                1 => format!("{category} {id} anyURI {}", dice.one_of(texts)),
                _ => format!("{category} {id} string {}", dice.one_of(texts)),
            });
        }
    }
    request(&attributes.iter().map(String::as_str).collect::<Vec<_>>())
}

fn a_set(dice: &mut Dice, depth: usize) -> String {
    let children: String = (0..=dice.below(3))
        .map(|at| {
            if depth < 2 && dice.one_in(4) {
                a_set(dice, depth + 1).replacen("\"s\"", &format!("\"s{at}\""), 1)
            } else {
                one_policy(dice, &format!("p{at}"), Semantics::Standard)
            }
        })
        .collect();
    policy_set("s", dice.one_of(&SET_ALGORITHMS), &(children + &obligations(dice, Semantics::Standard))).replacen(
        "<Target/>",
        &target(dice),
        1,
    )
}

fn one_policy(dice: &mut Dice, id: &str, semantics: Semantics) -> String {
    let variables: String = match semantics {
        Semantics::Standard if dice.one_in(2) => {
            let first = testing::expression(&an_expression(dice, Type::One(DataType::Boolean), 2));
            let second = testing::expression(&format!("(and $v0 {})", an_expression(dice, BOOLEAN, 1)));
            [("v1", second), ("v0", first)]
                .map(|(id, inside)| format!(r#"<VariableDefinition VariableId="{id}">{inside}</VariableDefinition>"#))
                .concat()
        }
        _ => String::new(),
    };
    let rules: String = (0..dice.below(4))
        .map(|at| {
            let effect = dice.one_of(&["Permit", "Permit", "Deny"]);
            let condition = if dice.one_in(3) {
                String::new()
            } else if variables.is_empty() || dice.one_in(2) {
                testing::condition(&match semantics {
                    Semantics::Standard => an_expression(dice, BOOLEAN, 3),
                    Semantics::Altinn => altinn_condition(dice),
                })
            } else {
                testing::condition(dice.one_of(&["$v0", "$v1", "(or $v0 $v1)"]))
            };
            rule(&format!("r{at}"), effect, &(target(dice) + &condition + &obligations(dice, semantics)))
        })
        .collect();
    testing::policy(id, dice.one_of(&RULE_ALGORITHMS), &(variables + &rules + &obligations(dice, semantics))).replacen(
        "<Target/>",
        if dice.one_in(2) { "<Target/>".to_owned() } else { target(dice) }.as_str(),
        1,
    )
}

const BOOLEAN: Type = Type::One(DataType::Boolean);

fn target(dice: &mut Dice) -> String {
    let any_ofs: String = (0..dice.below(3))
        .map(|_| {
            let all_ofs: String = (0..=dice.below(2))
                .map(|_| {
                    let matches: String = (0..=dice.below(2)).map(|_| a_match(dice)).collect();
                    format!("<AllOf>{matches}</AllOf>")
                })
                .collect();
            format!("<AnyOf>{all_ofs}</AnyOf>")
        })
        .collect();
    format!("<Target>{any_ofs}</Target>")
}

fn a_match(dice: &mut Dice) -> String {
    let (category, id, texts) = dice.one_of(&ATTRIBUTES);
    let required = if dice.one_in(8) { "!" } else { "" };
    let function =
        dice.one_of(&["string-equal", "string-equal", "3.0/string-equal-ignore-case", "string-regexp-match"]);
    testing::matching(&format!("{category} {required}{id} {}", dice.one_of(texts)))
        .replace(urn::STRING_EQUAL, &testing::function(function))
}

fn obligations(dice: &mut Dice, semantics: Semantics) -> String {
    if !dice.one_in(3) {
        return String::new();
    }
    let value = match semantics {
        Semantics::Standard if dice.one_in(2) => an_expression(dice, Type::One(DataType::String), 1),
        Semantics::Standard if dice.one_in(2) => an_expression(dice, Type::Bag(DataType::String), 1),
        _ => "integer:3".to_owned(),
    };
    format!(
        r#"<ObligationExpressions><ObligationExpression ObligationId="o" FulfillOn="{}"><AttributeAssignmentExpression AttributeId="a" Category="c">{}</AttributeAssignmentExpression></ObligationExpression></ObligationExpressions>"#,
        dice.one_of(&["Permit", "Deny"]),
        testing::expression(&value)
    )
}

fn altinn_condition(dice: &mut Dice) -> String {
    let (category, id, texts) = dice.one_of(&ATTRIBUTES);
    let text = dice.one_of(texts);
    match dice.below(8) {
        5 => format!("(string-is-in string:{text} (string-bag {{string {category} {id}}}))"),
        6 => format!("{{string {category} {id}}}"),
        7 => format!("(date-equal (date-one-and-only {{date {category} {id}}}) string:{text})"),
        0 => format!("(string-equal {{string {category} {id}}} string:{text})"),
        1 => format!("(string-regexp-match {{string {category} {id}}} string:^{text}$)"),
        2 => format!("(integer-equal (integer-one-and-only {{integer {category} {id}}}) integer:4)"),
        3 => format!("(integer-equal (date-bag-size {{date {category} {id}}}) integer:{})", dice.below(3)),
        _ => "(and boolean:true boolean:true)".to_owned(),
    }
}

/// An expression of a type, as [`testing::expression`] reads it.
fn an_expression(dice: &mut Dice, kind: Type, depth: usize) -> String {
    if depth == 0 || dice.one_in(6) {
        return leaf(dice, kind);
    }
    if dice.one_in(5)
        && let Some(text) = over_bags(dice, kind, depth)
    {
        return text;
    }
    let fitting: Vec<_> = EVERY_FUNCTION.iter().filter(|(_, one)| one.signature().returns == kind).collect();
    match fitting.get(dice.below(fitting.len())) {
        Some((uri, function)) => {
            let arguments = function.signature().arguments(dice.below(3));
            let arguments: Vec<_> = arguments.into_iter().map(|kind| an_expression(dice, kind, depth - 1)).collect();
            format!("({} {})", short(uri), arguments.join(" "))
        }
        None => leaf(dice, kind),
    }
}

fn over_bags(dice: &mut Dice, kind: Type, depth: usize) -> Option<String> {
    let (names, inner_kind): (&[&str], _) = match kind {
        BOOLEAN => (&["any-of", "all-of", "any-of-any", "all-of-any", "any-of-all", "all-of-all"], BOOLEAN),
        Type::Bag(kind) => (&["map"], Type::One(kind)),
        Type::One(_) => return None,
    };
    let name = dice.one_of(names);
    let over = HigherOrder::from_uri(&testing::function(name))?;
    let takes_values = |function: Function| {
        let arguments = function.signature().arguments(0);
        !arguments.is_empty() && arguments.iter().all(|kind| matches!(kind, Type::One(_)))
    };
    let fitting: Vec<_> =
        EVERY_FUNCTION.iter().filter(|(_, one)| one.signature().returns == inner_kind && takes_values(*one)).collect();
    let (uri, function) = fitting.get(dice.below(fitting.len()))?;
    let values = function.signature().arguments(dice.below(2));
    let bag_at = dice.below(values.len());
    let mut arguments: Vec<Type> = values.clone();
    for (at, argument) in arguments.iter_mut().enumerate() {
        let is_bag = match over {
            HigherOrder::AnyOf | HigherOrder::AllOf | HigherOrder::Map => at == bag_at,
            HigherOrder::AnyOfAny => at == bag_at || dice.one_in(2),
            _ => true,
        };
        if is_bag {
            *argument = Type::Bag(argument.data_type());
        }
    }
    over.returns(&function.signature(), &arguments).ok()?;
    let arguments: Vec<_> = arguments.into_iter().map(|kind| an_expression(dice, kind, depth - 1)).collect();
    Some(format!("({name} '{} {})", short(uri), arguments.join(" ")))
}

fn leaf(dice: &mut Dice, kind: Type) -> String {
    match kind {
        Type::One(data_type) => format!("{data_type}:{}", literal(dice, data_type)),
        Type::Bag(data_type) => {
            let (category, id, _) = dice.one_of(&ATTRIBUTES);
            let required = if dice.one_in(8) { "!" } else { "" };
            format!("{{{required}{data_type} {category} {id}}}")
        }
    }
}

fn literal(dice: &mut Dice, data_type: DataType) -> &'static str {
    dice.one_of(match data_type {
        DataType::String => &["a", "b", "A", "vat", "^a+$", "4", "~a~", "[a-c]", "2002-03-22", ""],
        DataType::Boolean => &["true", "false"],
        DataType::Integer => &["0", "1", "2", "-1", "4", "170141183460469231731687303715884105727"],
        DataType::Double => &["0", "1.5", "-2.5", "INF", "NaN", "1e300"],
        DataType::Time => &["08:00:00", "23:59:59.5Z", "01:00:00+02:00"],
        DataType::Date => &["2002-03-22", "2024-02-29Z"],
        DataType::DateTime => &["2002-03-22T08:23:47", "2024-02-29T00:00:00-05:00"],
        DataType::DayTimeDuration => &["P1DT1H", "-PT0.5S"],
        DataType::YearMonthDuration => &["P1Y", "-P5M"],
        DataType::AnyUri => &["urn:a", "a"],
        DataType::HexBinary => &["0f", ""],
        DataType::Base64Binary => &["c3VyZS4=", ""],
        DataType::Rfc822Name => &["a@B.no", "a@b.no"],
        DataType::X500Name => &["cn=a,c=NO", "C=no"],
        DataType::IpAddress => &["10.0.0.1", "[::1]"],
        DataType::DnsName => &["a.no", "*.no:80"],
    })
}

/// Version and name.
fn short(uri: &str) -> String {
    uri.replace("urn:oasis:names:tc:xacml:", "").replace(":function:", "/")
}

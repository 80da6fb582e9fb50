//! Damaged documents and requests: whatever the bytes, there is an answer and no panic. Seeded, so that a failure comes
//! again.

pub(crate) mod policies;

use super::testing::{PERMIT_OVERRIDES, SET_DENY_OVERRIDES, condition, policy, policy_set, request, rule, target};
use super::{CompiledPolicy, Environment, Semantics, json_profile, parse, value, xml_context};
use crate::Timestamp;

const ROUNDS: usize = 1_500;

/// Numbers that look random (xorshift).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// Some bytes changed, left out, doubled or put elsewhere.
    fn damage(&mut self, bytes: &[u8], pieces: &[&str]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(damaged.len());
            let end = (at + self.below(40)).min(damaged.len());
            match self.below(6) {
                0 => damaged.truncate(at),
                1 => drop(damaged.drain(at..end)),
                2 => {
                    let copied = damaged[at..end].to_vec();
                    let to = self.below(damaged.len());
                    damaged.splice(to..to, copied);
                }
                3 => damaged.splice(at..at, pieces[self.below(pieces.len())].bytes()).for_each(drop),
                4 if at < damaged.len() => damaged[at] = u8::try_from(self.below(256)).unwrap(),
                _ => drop(damaged.splice(at..end, pieces[self.below(pieces.len())].bytes())),
            }
        }
        damaged
    }
}

const CONDITION: &str = "(and (string-is-in string:a {string subject id}) (any-of 'integer-less-than integer:3 {integer subject age}) (or boolean:true (string-regexp-match string:^a[b-c]+ string:abc)))";
const JSON: &str = r#"{"Request":{"ReturnPolicyIdList":true,"AccessSubject":[{"Id":"s","Attribute":[{"AttributeId":"id","Value":["a",1,2.5],"IncludeInResult":true}]}],"Action":{"Id":"a","Attribute":{"AttributeId":"age","DataType":"integer","Value":"4"}},"MultiRequests":{"RequestReference":[{"ReferenceId":["s","a"]},{"ReferenceId":["s"]}]}}}"#;

#[test]
fn damaged_policies_are_refused_or_decided() {
    let inner = policy(
        "p",
        PERMIT_OVERRIDES,
        &rule("r", "Permit", &(target(&["subject id a", "action !id b"]) + &condition(CONDITION))),
    );
    let whole = policy_set("s", SET_DENY_OVERRIDES, &inner);
    let pieces = [
        "<",
        ">",
        "\"",
        "/",
        "&lt;",
        "<Apply>",
        "</Apply>",
        "<!--",
        "]]>",
        "Permit",
        "integer",
        "3.0",
        "\u{0}",
        "🦀",
        "9999999999999999999999",
    ];
    let asked = request(&["subject id string a", "subject age integer 4"]);
    let environment = Environment { now: Timestamp::from_unix_seconds(0), fuel_max: 10_000 };
    let mut dice = Dice(0x706f_7274_7661_6b01);
    let mut taken = 0;
    for _ in 0..ROUNDS {
        let Ok(document) = parse("policy.xml", &dice.damage(whole.as_bytes(), &pieces)) else { continue };
        for semantics in [Semantics::Standard, Semantics::Altinn] {
            if let Ok(policy) = CompiledPolicy::compile(&document, &[], semantics) {
                assert_eq!(policy.decide(&asked, environment).results.len(), 1);
                taken += 1;
            }
        }
    }
    assert!(taken > 0);
}

#[test]
fn damaged_programs_are_refused_or_decided() {
    let pieces =
        ["\0", "\u{1}", "\u{2}", "\u{3}", "\u{4}", "@\u{1}", "\u{1}\0", "\u{7f}", "\u{80}", "urn:", "\u{3}\t\u{2}"];
    let environment = Environment { now: Timestamp::from_unix_seconds(0), fuel_max: 10_000 };
    let mut dice = Dice(0x706f_7274_7661_6b0a);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let semantics = if round % 2 == 0 { Semantics::Standard } else { Semantics::Altinn };
        let whole = policies::a_policy(&mut dice, semantics).to_bytes();
        let asked = policies::a_request(&mut dice);
        for _ in 0..8 {
            match CompiledPolicy::from_bytes(&dice.damage(&whole, &pieces)) {
                Ok(policy) => {
                    assert_eq!(policy.decide(&asked, environment).results.len(), 1);
                    taken += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(taken > 100 && refused > 1_000, "{taken} {refused}");
}

#[test]
fn damaged_requests_are_refused_or_read() {
    let pieces =
        ["{", "}", "[", "]", "\"", ":", ",", "\\u0000", "null", "1e999", "-0", "true", "\"Value\":", "🦀", "\u{feff}"];
    let mut dice = Dice(0x706f_7274_7661_6b02);
    let mut read = 0;
    for _ in 0..ROUNDS {
        let bytes = dice.damage(JSON.as_bytes(), &pieces);
        for semantics in [Semantics::Standard, Semantics::Altinn] {
            read += usize::from(
                json_profile::read_request(&bytes, semantics).is_ok_and(|request| request.decisions(semantics).is_ok()),
            );
        }
        let xml = br#"<Request xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" ReturnPolicyIdList="true" CombinedDecision="false"><Attributes Category="c"><Attribute AttributeId="i" IncludeInResult="1"><AttributeValue DataType="d">v</AttributeValue></Attribute></Attributes></Request>"#;
        let bytes = dice.damage(xml, &["<", ">", "\"", "<Attributes>", "&#x41;", "\u{0}"]);
        read += usize::from(xml_context::read_request(&bytes, Semantics::Standard).is_ok());
    }
    assert!(read > 0);
}

#[test]
fn damaged_values_are_refused_or_written() {
    let texts = [
        "2002-03-22T08:23:47.123-05:00",
        "-P5Y3M",
        "P5DT2H1.5S",
        "cn=a\\,b+o=\"c\",c=US",
        "a@b.c",
        "10.0.0.1/255.0.0.0:1-2",
        "[::1]:80",
        "-1.5e10",
        "c3VyZS4=",
    ];
    let pieces = ["-", "9", "T", "P", ":", ".", "\\", "\"", "=", ",", "ø", "+", " "];
    let mut dice = Dice(0x706f_7274_7661_6b03);
    for _ in 0..ROUNDS {
        let text = dice.damage(texts[dice.0 as usize % texts.len()].as_bytes(), &pieces);
        let text = String::from_utf8_lossy(&text);
        dice.below(7);
        for data_type in value::DataType::all() {
            if let Ok(read) = value::Value::parse(data_type, &text) {
                let written = read.to_string();
                let again = value::Value::parse(data_type, &written).unwrap_or_else(|error| panic!("{text}: {error}"));
                assert!(again.equals(&read), "{data_type} `{text}` `{written}`");
            }
        }
    }
}

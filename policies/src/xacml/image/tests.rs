//! What is written is read and decides the same; what is damaged is refused, or is harmless.

use super::*;
use crate::Timestamp;
use crate::xacml::combine::Algorithm;
use crate::xacml::functions::Function;
use crate::xacml::fuzz::Dice;
use crate::xacml::fuzz::policies::{a_policy, a_request};
use crate::xacml::program::{Instruction, Program, Span};
use crate::xacml::request::Request;
use crate::xacml::response::Decision;
use crate::xacml::testing::{
    PERMIT_OVERRIDES, SET_DENY_OVERRIDES, answer, compiled, condition, expression, policy, policy_set, request, rule,
    target,
};
use crate::xacml::value::DataType;
use crate::xacml::{CompiledPolicy, Environment, Semantics};

const BOTH: [Semantics; 2] = [Semantics::Standard, Semantics::Altinn];

fn small(semantics: Semantics) -> Vec<u8> {
    let inside = rule("r", "Permit", &(target(&["action id read"]) + &condition("(string-equal string:a string:b)")));
    compiled(&policy("p", PERMIT_OVERRIDES, &inside), semantics).unwrap().to_bytes()
}

/// Decides without regard to the answer: it must end, without a panic.
fn try_out(policy: &CompiledPolicy, request: &Request) {
    let environment = Environment { now: Timestamp::from_unix_seconds(0), fuel_max: 20_000 };
    assert_eq!(policy.decide(request, environment).results.len(), 1);
    policy.obligations_on_permit();
}

/// Snapshots hold this form: a change of it is a new [`FORMAT`].
#[test]
fn the_form_does_not_change() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let inside = rule(
        "r",
        "Permit",
        &(target(&["subject !id a", "subject id b"])
            + &condition("(or $v (any-of 'string-equal string:a {string subject id}))")),
    );
    let obligation = format!(
        r#"<ObligationExpressions><ObligationExpression ObligationId="o" FulfillOn="Permit"><AttributeAssignmentExpression AttributeId="a" Category="c">{}</AttributeAssignmentExpression></ObligationExpression></ObligationExpressions>"#,
        expression("integer:2")
    );
    let variable = format!(r#"<VariableDefinition VariableId="v">{}</VariableDefinition>"#, expression("boolean:true"));
    let inner = policy("p", PERMIT_OVERRIDES, &format!("{variable}{inside}{obligation}"));
    let subject = hex(crate::urn::CATEGORY_SUBJECT.as_bytes());
    let set = compiled(&policy_set("s", SET_DENY_OVERRIDES, &inner), Semantics::Standard).unwrap();
    let texts =
        format!("0b 03312e30 0132 0161 0162 0163 026964 016f 0170 0173 0474727565 3c{subject}").replace(' ', "");
    assert_eq!(
        hex(&set.to_bytes()),
        format!("0101{texts}").as_str().to_owned()
            + &concat!(
                // Designators: category, id, string, may or must be there, of any issuer.
                "02 0a05010100 0a05010000",
                // Literals: true, a, b, 2.
                "04 0209 0102 0103 0301",
                // Variables: the first literal.
                "01 0000",
                // The policy, without target: its rule.
                "02 00 07 00 02 00",
                // Permit; one AnyOf of two AllOf of one match each: string-equal, literal, designator.
                "01 01 01 02 01 40010100 01 40010201",
                // Its condition: or of two, the variable, any-of string-equal of two, the literal and the designator.
                "01 03 0a 02 0200 04 01 4001 02 0001 0101",
                // It has no obligations. The policy has one, on Permit: o, with a, of category c, the last literal.
                "00 01 00 01 06 01 02 01 04 0003",
                // The set, without target: the policy; no obligations.
                "01 08 00 01 00 01 00 00",
            )
            .replace(' ', "")
    );
    let simple = policy("p", PERMIT_OVERRIDES, &(rule("r", "Permit", &target(&["subject !id a"])) + &obligation));
    let altinn = compiled(&simple, Semantics::Altinn).unwrap();
    let [integer, string] = [DataType::Integer, DataType::String].map(|kind| hex(kind.uri().as_bytes()));
    let texts = format!("08 0132 0161 0163 28{integer} 27{string} 026964 016f 3c{subject}").replace(' ', "");
    assert_eq!(
        hex(&altinn.to_bytes()),
        format!("0102{texts}")
            + &concat!(
                // Permit-overrides; one attribute: category, id.
                "02 01 0705",
                // One rule, Permit: one alternative of one match as text, required; nothing of resource and action.
                "01 01 01 01 01 00 01 0401 00 00",
                // No condition. One obligation: o, with a, of category c, an integer.
                "00 01 06 01 01 01 02 03 00",
            )
            .replace(' ', "")
    );
}

#[test]
fn what_is_written_is_read_again() {
    let mut dice = Dice(0x706f_7274_7661_6b04);
    for semantics in BOTH {
        for _ in 0..300 {
            let policy = a_policy(&mut dice, semantics);
            let bytes = policy.to_bytes();
            let read = CompiledPolicy::from_bytes(&bytes).unwrap();
            assert_eq!((read.to_bytes(), read.semantics()), (bytes, semantics));
            for _ in 0..3 {
                let request = a_request(&mut dice);
                assert_eq!(answer(&read, &request), answer(&policy, &request));
            }
        }
    }
}

#[test]
fn what_is_cut_is_refused() {
    let mut dice = Dice(0x706f_7274_7661_6b05);
    for semantics in BOTH {
        for _ in 0..10 {
            let bytes = a_policy(&mut dice, semantics).to_bytes();
            for end in 0..bytes.len() {
                assert!(CompiledPolicy::from_bytes(&bytes[..end]).is_err(), "{end} of {bytes:?}");
            }
            let longer = [bytes.as_slice(), &[0]].concat();
            assert_eq!(CompiledPolicy::from_bytes(&longer).unwrap_err().what, "its end");
        }
    }
}

#[test]
fn what_is_damaged_is_refused_or_harmless() {
    let mut dice = Dice(0x706f_7274_7661_6b06);
    let (mut refused, mut taken) = (0, 0);
    for semantics in BOTH {
        for _ in 0..15 {
            let whole = a_policy(&mut dice, semantics).to_bytes();
            let asked = a_request(&mut dice);
            for at in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[at] = match dice.below(4) {
                    0 => bytes[at] ^ (1 << dice.below(8)),
                    1 => bytes[at].wrapping_add(1),
                    2 => bytes[at].wrapping_sub(1),
                    _ => u8::try_from(dice.below(256)).unwrap(),
                };
                if dice.below(3) == 0 {
                    let other = dice.below(bytes.len());
                    bytes.swap(at, other);
                }
                match CompiledPolicy::from_bytes(&bytes) {
                    Err(error) => {
                        assert_eq!(error.code(), "policy_program_invalid");
                        refused += 1;
                    }
                    Ok(policy) => {
                        assert_eq!(policy.to_bytes(), bytes, "there is one form of everything");
                        try_out(&policy, &asked);
                        taken += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 1_000 && taken > 100, "{refused} {taken}");
}

#[test]
fn bytes_of_another_kind_are_refused() {
    for semantics in BOTH {
        let whole = small(semantics);
        let what = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = whole.clone();
            change(&mut bytes);
            CompiledPolicy::from_bytes(&bytes).unwrap_err().what
        };
        assert_eq!(what(&|bytes| bytes[0] = 2), "its format");
        assert_eq!(what(&|bytes| bytes[1] = 3), "its semantics");
        assert_eq!(what(&|bytes| bytes.truncate(1)), "its format");
        assert_eq!(what(&|bytes| bytes[2] |= 0x80), "the number of texts");
        assert_eq!(
            what(&|bytes| drop(bytes.splice(2..3, [bytes[2] | 0x80, 0]))),
            "a number that is longer than needed"
        );
        assert_eq!(what(&|bytes| drop(bytes.splice(2..3, [0xff; 6]))), "a number");
        assert_eq!(what(&|bytes| bytes[4] = 0xff), "the UTF-8 of a text");
        assert_eq!(what(&|bytes| bytes[4] = b'z'), "the order of the texts");
        // One more text, behind the last one, of which nothing speaks.
        let last = whole.windows(4).rposition(|window| window == b"urn:").unwrap();
        let one_more = |bytes: &mut Vec<u8>| {
            bytes[2] += 1;
            let end = last + usize::from(bytes[last - 1]);
            drop(bytes.splice(end..end, *b"\x01z"));
        };
        assert_eq!(what(&one_more), "a text that nothing uses");
        assert_eq!(what(&|bytes| bytes.resize(PROGRAM_BYTES_MAX + 1, 0)), "its length");
    }
}

/// Changes a program after it was read, and tells what is wrong with it.
fn with(xml: &str, change: impl Fn(&mut Program)) -> &'static str {
    let Form::Standard(mut program) = compiled(xml, Semantics::Standard).unwrap().form else { panic!("{xml}") };
    change(&mut program);
    CompiledPolicy::from_bytes(&write(&Form::Standard(program))).unwrap_err().what
}

#[test]
fn programs_that_no_compiler_writes_are_refused() {
    let variables: String = (0..2)
        .map(|at| format!(r#"<VariableDefinition VariableId="v{at}">{}</VariableDefinition>"#, expression("boolean:1")))
        .collect();
    let inside = variables
        + &rule(
            "r",
            "Permit",
            &(target(&["subject id a"]) + &condition("(and $v0 $v1 (string-equal string:a string:b))")),
        );
    let one = policy("p", PERMIT_OVERRIDES, &inside);
    let set = policy_set("s", SET_DENY_OVERRIDES, &one);
    for (what, wrong) in [
        // Circles, and what leads nowhere.
        ("the position of a policy", with(&set, |program| program.children[0] = 1)),
        ("the position of a policy", with(&set, |program| program.children[0] = 7)),
        ("the position of a policy", with(&set, |program| program.nodes.swap(0, 1))),
        ("a policy that is not part of the whole", with(&set, |program| program.nodes.push(program.nodes[0].clone()))),
        ("a policy that is not part of the whole", with(&set, |program| program.nodes.clear())),
        ("the position of a variable", with(&one, |program| program.code[1] = Instruction::Variable(1))),
        ("the position of a variable", with(&one, |program| program.code[2] = Instruction::Variable(2))),
        ("the position of a literal", with(&one, |program| program.code[0] = Instruction::Literal(9))),
        ("the position of a literal", with(&one, |program| program.matches[0].literal = 9)),
        ("the position of a designator", with(&one, |program| program.code[0] = Instruction::Attribute(1))),
        ("the position of a designator", with(&one, |program| program.matches[0].designator = 1)),
        // Types.
        (
            "the type of a condition",
            with(&one, |program| {
                let start = u32::try_from(program.code.len()).unwrap();
                program.code.push(Instruction::Literal(1));
                program.rules[0].condition = Some(Span { start, end: start + 1 });
            }),
        ),
        ("the arguments of a function", with(&one, |program| program.code[0] = Instruction::Attribute(0))),
        ("the arguments of a match", with(&one, |program| program.matches[0].literal = 0)),
        (
            "the number of a combining algorithm",
            with(&one, |program| {
                program.nodes[0].algorithm = Algorithm::OnlyOneApplicable;
            }),
        ),
    ] {
        assert_eq!(wrong, what);
    }
    // A name whose domain would be folded is not as it would be written.
    let mut bytes = compiled(
        &policy(
            "p",
            PERMIT_OVERRIDES,
            &rule("r", "Permit", &condition("(rfc822Name-equal rfc822Name:a@b.no rfc822Name:a@b.no)")),
        ),
        Semantics::Standard,
    )
    .unwrap()
    .to_bytes();
    let at = bytes.windows(4).position(|window| window == b"b.no").unwrap();
    bytes[at] = b'B';
    assert_eq!(CompiledPolicy::from_bytes(&bytes).unwrap_err().what, "the value of a literal");
}

#[test]
fn how_much_is_read_is_bounded() {
    let one = policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &condition("(and boolean:1 (not boolean:0))")));
    let deep = |depth: u32| {
        move |program: &mut Program| {
            let not = Instruction::Call { function: Function::Not, arguments: 1 };
            program.code =
                std::iter::once(Instruction::Literal(0)).chain(std::iter::repeat_n(not, depth as usize)).collect();
            program.rules[0].condition = Some(Span { start: 0, end: depth + 1 });
            program.literals.truncate(1);
        }
    };
    assert_eq!(with(&one, deep(65)), "the depth of an expression");
    assert_eq!(
        with(&one, |program| {
            let count = u32::try_from(INSTRUCTIONS_MAX).unwrap();
            let and = Instruction::Call { function: Function::And, arguments: count };
            program.code = vec![Instruction::Literal(0); INSTRUCTIONS_MAX];
            program.code.push(and);
            program.rules[0].condition = Some(Span { start: 0, end: count + 1 });
        }),
        "the number of steps"
    );
    let set = policy_set("s", SET_DENY_OVERRIDES, &one);
    assert_eq!(
        with(&set, |program| {
            for depth in 0..40 {
                let mut outer = program.nodes[1].clone();
                let start = u32::try_from(program.children.len()).unwrap();
                program.children.push(depth + 1);
                outer.children = Span { start, end: start + 1 };
                program.nodes.push(outer);
            }
        }),
        "the depth of policy sets"
    );
    // As many children as bytes, whatever the number says.
    assert_eq!(
        with(&set, |program| {
            program.children = vec![0; VISITS_MAX as usize / 2];
            program.nodes[1].children.end = u32::try_from(program.children.len()).unwrap();
        }),
        "the number of policies, counted wherever they are referred to"
    );
}

#[test]
fn more_patterns_than_are_made_ready_match_all_the_same() {
    let alternatives: Vec<_> = (0..PATTERNS_MAX + 10).map(|at| format!("subject id ^{at}x$")).collect();
    let alternatives: Vec<_> = alternatives.iter().map(String::as_str).collect();
    let xml = policy("p", PERMIT_OVERRIDES, &rule("r", "Permit", &target(&alternatives)))
        .replace(crate::urn::STRING_EQUAL, &crate::xacml::testing::function("string-regexp-match"));
    for semantics in BOTH {
        let policy = compiled(&xml, semantics).unwrap();
        let is = |text: String| answer(&policy, &request(&[&format!("subject id string {text}")])).results[0].decision;
        for at in [0, PATTERNS_MAX - 1, PATTERNS_MAX, PATTERNS_MAX + 9] {
            assert_eq!(is(format!("{at}x")), Decision::Permit, "{at}");
        }
        assert_eq!(is("x".to_owned()), Decision::NotApplicable);
    }
}

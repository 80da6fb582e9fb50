//! What patterns mean and cost, and that another engine agrees.

use super::*;

fn matches(pattern: &str, text: &str) -> Result<bool, String> {
    Pattern::read(pattern).map(|pattern| pattern.is_match(text, &mut Fuel::new(1 << 20)).unwrap())
}

#[test]
fn patterns_mean_what_xpath_says() {
    for (pattern, text, expected) in [
        ("B.* Simpson", "Bart Simpson", true),
        ("art", "Bart Simpson", true),
        ("^art", "Bart", false),
        ("^B.*t$", "Bart", true),
        ("read|write", "overwrite", true),
        ("^(read|write|)$", "", true),
        ("^(a|b|c)d$", "bd", true),
        ("^(a|b|c)d$", "ab", false),
        ("a.c", "a\nc", false),
        ("", "", true),
        ("()", "x", true),
        (r"^\i\c*$", "Æ1-x", true),
        (r"^\i\c*$", "1x", false),
        (r"^[\i-[:]]+$", "a:b", false),
        (r"^[a-z-[aeiou]]+$", "rhythm", true),
        (r"^[a-z-[aeiou]]+$", "vowel", false),
        (r"^[a-z-[aeiou-[e]]]+$", "teeth", true),
        (r"^[^a-z-[A-C]]+$", "D1", true),
        (r"^[^a-z-[A-C]]+$", "A", false),
        (r"^\d{3}$", "٣٤٥", true),
        (r"^[\w]+$", "ø_", false),
        (r"^\w+$", "ø", true),
        (r"^\p{Lu}\p{Ll}+$", "Ål", true),
        (r"^\P{Lu}$", "a", true),
        (r"^\p{L}+$", "aÅǅʰª", true),
        (r"^[^\s&&]$", "&", false),
        (r"^[-a]$", "-", true),
        (r"^[a-]$", "-", true),
        (r"^[+\--]+$", "-+", true),
        (r"a\$\.\[\]", "a$.[]", true),
        ("#~ ", "#~ ", true),
        ("^x{2,3}?$", "xx", true),
        ("^x{2,3}$", "x", false),
        ("^x{2,3}$", "xxxx", false),
        ("^x{2,}$", "xxxx", true),
        ("^x{0}$", "", true),
        ("^(ab){2}$", "abab", true),
        ("^(a*)*$", "aaa", true),
        ("^(a*)+b$", "aab", true),
        ("^(a?){3}b$", "aab", true),
        (r"^\p{IsBasicLatin}+$", "ab", true),
        (r"^\P{IsLatin-1Supplement}+$", "é", false),
        ("$^", "", true),
        ("a$b", "ab", false),
    ] {
        assert_eq!(matches(pattern, text), Ok(expected), "`{pattern}` on `{text}`");
    }
}

#[test]
fn what_xpath_does_not_have_is_refused() {
    for pattern in [
        r"(a)\1",
        "(?i)a",
        r"\b",
        r"\x41",
        "[",
        "[]",
        "[^]",
        "[a",
        "[a-",
        r"\",
        "(",
        "a)",
        "a|*",
        "a**",
        "a{2",
        "a{,2}",
        "a{3,2}",
        "{2}",
        r"\p{Greek}",
        r"\p{lu}",
        r"\p{Lu",
        r"\p{}",
        r"\pL",
        "[[a]]",
        "*a",
        "a{1000000}",
        "(a{100}){100}",
        "[a-[b]c]",
        "[-[b]]",
        "[z-a]",
        "[a-c-e]",
        r"[a-\d]",
        r"[\d-a]",
        "[+--]",
        "[a--[b]]",
        "}",
        "]",
        "[a-[b-[c-[d-[e-[f-[g-[h-[i-[j]]]]]]]]]]",
        &"a".repeat(PATTERN_BYTES_MAX + 1),
        &"(".repeat(100),
        &format!("{}a{}", "(".repeat(100), ")".repeat(100)),
    ] {
        assert!(Pattern::read(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn matching_is_paid_for() {
    assert!(Pattern::read_for("a", &mut Fuel::new(3)).is_err());
    // An engine that backtracks would need 2^64 steps.
    let text = format!("{}b", "a".repeat(64));
    let pattern = Pattern::read("^(a+)+$").unwrap();
    assert_eq!(pattern.is_match(&text, &mut Fuel::new(1 << 20)).ok(), Some(false));
    // Many ways at every character cost what they are.
    let pattern = Pattern::read("(a?){2000}b").unwrap();
    let text = "a".repeat(10_000);
    assert!(pattern.is_match(&text, &mut Fuel::new(1 << 20)).is_err());
    let fuel = &mut Fuel::new(100);
    assert_eq!(Pattern::read("^[0-9]{9}$").unwrap().is_match("310247049", fuel).ok(), Some(true));
}

/// The same pattern in the language of the `regex` crate.
fn translated(pattern: &str) -> String {
    pattern
        .replace(r"\i", r"[:A-Z_a-z\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1FFF}\x{10000}-\x{EFFFF}]")
        .replace(r"\w", r"[^\p{P}\p{Z}\p{C}]")
        .replace(r"\s", r"[ \t\n\r]")
        .replace(r"\d", r"\p{Nd}")
        .replace("-[", "--[")
        .replace('.', r"[^\n\r]")
}

#[test]
fn another_engine_agrees() {
    let mut dice = crate::xacml::fuzz::Dice(0x706f_7274_7661_6b08);
    let atoms = [
        "a",
        "b",
        "ø",
        ".",
        r"\d",
        r"\w",
        r"\s",
        r"\i",
        "[a-c]",
        "[^a]",
        "[a-ø-[b]]",
        r"[\d_]",
        r"\p{Lu}",
        r"\P{L}",
        "^",
        "$",
        "(",
        "(",
        ")",
        ")",
        "|",
        "*",
        "+",
        "?",
        "{2}",
        "{0,2}",
        "{1,}",
    ];
    let letters = ['a', 'b', 'c', 'ø', 'A', '1', '_', ' ', '\n', '٣', '\u{10400}'];
    let (mut read, mut held) = (0, 0);
    for _ in 0..6_000 {
        let pattern: String = (0..dice.below(10)).map(|_| atoms[dice.below(atoms.len())]).collect();
        let Ok(ours) = Pattern::read(&pattern) else { continue };
        let theirs = regex::Regex::new(&translated(&pattern)).unwrap_or_else(|error| panic!("`{pattern}`: {error}"));
        read += 1;
        for _ in 0..6 {
            let text: String = (0..dice.below(7)).map(|_| letters[dice.below(letters.len())]).collect();
            let answer = ours.is_match(&text, &mut Fuel::new(1 << 20)).unwrap();
            assert_eq!(answer, theirs.is_match(&text), "`{pattern}` on `{text}`");
            held += usize::from(answer);
        }
    }
    assert!(read > 1_000 && held > 1_000, "{read} {held}");
}

#[test]
fn categories_are_those_of_unicode() {
    let names = [
        "L", "M", "N", "P", "Z", "S", "C", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc",
        "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Zs", "Zl", "Zp", "Sm", "Sc", "Sk", "So", "Cc", "Cf", "Co", "Cn",
    ];
    // Every common character, and all about where one category ends and another begins.
    let borders = categories::RUNS.iter().map(|run| run >> 5).flat_map(|start| start.saturating_sub(1)..=start + 1);
    let text: String = (0..0x3000).chain(borders).filter_map(char::from_u32).collect();
    for name in names {
        let of = categories::categories_named(name).unwrap();
        let ours: String = text.chars().filter(|letter| of & (1 << categories::category_of(*letter)) != 0).collect();
        let theirs = regex::Regex::new(&format!(r"\P{{{name}}}+")).unwrap();
        assert_eq!(ours, theirs.replace_all(&text, ""), "{name}");
    }
}

//! Regular expressions of XPath 2.0 (which are XML Schema's, with anchors), on an engine that never backtracks.
//!
//! A pattern is translated letter by letter: what the two languages read differently is rewritten, what XPath does not
//! have is refused, so a pattern never means something else than its author wrote. Not here: back references, which no
//! linear-time engine has; they are refused.

use std::fmt::Write as _;

use regex::RegexBuilder;

use super::Fuel;
use crate::xacml::evaluate::Failure;
use crate::xacml::response::StatusCode;

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4_096;
/// Largest compiled form, in bytes.
const PROGRAM_BYTES_MAX: usize = 256 << 10;
/// What compiling a pattern costs in fuel, at least and for each of its bytes: few bytes may stand for much.
const FUEL_PER_PATTERN: u64 = 1_000;
const FUEL_PER_PATTERN_BYTE: u64 = 32;

/// XML's letters that may begin a name, and those that may follow, inside a class.
const NAME_START: &str = r":A-Z_a-z\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{2FF}\x{370}-\x{37D}\x{37F}-\x{1FFF}\x{200C}-\x{200D}\x{2070}-\x{218F}\x{2C00}-\x{2FEF}\x{3001}-\x{D7FF}\x{F900}-\x{FDCF}\x{FDF0}-\x{FFFD}\x{10000}-\x{EFFFF}";
const NAME_MORE: &str = r"\-.0-9\x{B7}\x{300}-\x{36F}\x{203F}-\x{2040}";

/// A pattern, ready to match.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(regex::Regex);

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn read(pattern: &str) -> Result<Self, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("a pattern has at most {PATTERN_BYTES_MAX} bytes"));
        }
        let wrong = |what: &str| format!("the pattern `{pattern}` {what}");
        let translated = translate(pattern).map_err(wrong)?;
        RegexBuilder::new(&translated)
            .size_limit(PROGRAM_BYTES_MAX)
            .dfa_size_limit(PROGRAM_BYTES_MAX)
            .nest_limit(64)
            .build()
            .map(Self)
            .map_err(|_| wrong("is not a regular expression of XPath, or too large"))
    }

    /// Reads a pattern that is known only now, and pays for that.
    pub(crate) fn read_for<'a>(pattern: &str, fuel: &mut Fuel) -> Result<Self, Failure<'a>> {
        fuel.pay(length(pattern).saturating_mul(FUEL_PER_PATTERN_BYTE).saturating_add(FUEL_PER_PATTERN))?;
        Self::read(pattern).map_err(|message| Failure::told(StatusCode::ProcessingError, message))
    }

    /// Whether some part of the text matches.
    pub(crate) fn is_match<'a>(&self, text: &str, fuel: &mut Fuel) -> Result<bool, Failure<'a>> {
        fuel.pay(length(text) >> 2)?;
        Ok(self.0.is_match(text))
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// The pattern in the engine's language.
fn translate(pattern: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(pattern.len());
    let mut letters = pattern.chars().peekable();
    // Open classes, and whether the innermost has anything in it.
    let mut classes: Vec<bool> = Vec::new();
    while let Some(letter) = letters.next() {
        let in_class = !classes.is_empty();
        match letter {
            '\\' => {
                let escaped = letters.next().ok_or("ends with a backslash")?;
                escape(escaped, &mut letters, in_class, &mut out)?;
            }
            '[' if !in_class => {
                out.push('[');
                if letters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                classes.push(false);
                continue;
            }
            '[' => return Err("has a bracket inside a class that is not escaped"),
            ']' if in_class => {
                if classes.pop() == Some(false) {
                    return Err("has an empty class");
                }
                out.push(']');
                // A subtraction ends its class.
                if !classes.is_empty() && letters.peek() != Some(&']') {
                    return Err("has something after a subtraction");
                }
            }
            '-' if in_class && letters.peek() == Some(&'[') => {
                letters.next();
                out.push_str("--[");
                if letters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if classes.len() > 8 {
                    return Err("nests too many classes");
                }
                classes.push(false);
                continue;
            }
            '-' if in_class => {
                let at_edge = classes.last() == Some(&false) || letters.peek() == Some(&']');
                out.push_str(if at_edge { r"\-" } else { "-" });
            }
            _ if in_class => push_literal(letter, &mut out),
            '(' if letters.peek() == Some(&'?') => return Err("has a group that XPath does not know"),
            '.' => out.push_str(r"[^\n\r]"),
            '{' => {
                let count: String = letters.by_ref().take_while(|letter| *letter != '}').collect();
                if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit() || byte == b',') {
                    return Err("has braces that hold no count");
                }
                let _ = write!(out, "{{{count}}}");
            }
            '^' | '$' | '(' | ')' | '|' | '?' | '*' | '+' => out.push(letter),
            '}' | ']' => return Err("has a closing bracket without its opening one"),
            _ => push_literal(letter, &mut out),
        }
        if let Some(filled) = classes.last_mut() {
            *filled = true;
        }
    }
    if classes.is_empty() { Ok(out) } else { Err("has a class that does not end") }
}

fn escape(
    escaped: char,
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    in_class: bool,
    out: &mut String,
) -> Result<(), &'static str> {
    let mut class = |negated: bool, inside: &str| {
        let caret = if negated { "^" } else { "" };
        // The engine reads a class inside a class as part of it.
        let _ = write!(out, "[{caret}{inside}]");
    };
    match escaped {
        'n' => out.push_str(r"\n"),
        'r' => out.push_str(r"\r"),
        't' => out.push_str(r"\t"),
        's' => class(false, r" \t\n\r"),
        'S' => class(true, r" \t\n\r"),
        'd' => out.push_str(r"\p{Nd}"),
        'D' => out.push_str(r"\P{Nd}"),
        'w' => class(true, r"\p{P}\p{Z}\p{C}"),
        'W' => class(false, r"\p{P}\p{Z}\p{C}"),
        'i' => class(false, NAME_START),
        'I' => class(true, NAME_START),
        'c' => class(false, &format!("{NAME_START}{NAME_MORE}")),
        'C' => class(true, &format!("{NAME_START}{NAME_MORE}")),
        'p' | 'P' => {
            letters.next_if_eq(&'{').ok_or("names no category")?;
            let name: String = letters.by_ref().take_while(|letter| *letter != '}').collect();
            let known = matches!(name.len(), 1 | 2) && name.bytes().all(|byte| byte.is_ascii_alphabetic());
            match name.as_str() {
                "IsBasicLatin" => class(escaped == 'P', r"\x00-\x7F"),
                "IsLatin-1Supplement" => class(escaped == 'P', r"\x{80}-\x{FF}"),
                _ if known => {
                    let _ = write!(out, "\\{escaped}{{{name}}}");
                }
                _ => return Err("names a category or block that is not known"),
            }
        }
        '\\' | '|' | '.' | '-' | '^' | '?' | '*' | '+' | '{' | '}' | '(' | ')' | '[' | ']' | '$' => {
            push_literal(escaped, out);
        }
        '0'..='9' if !in_class => return Err("has a back reference, which cannot be matched in linear time"),
        _ => return Err("has an escape that XPath does not know"),
    }
    Ok(())
}

/// A letter that means itself.
fn push_literal(letter: char, out: &mut String) {
    if letter.is_ascii_punctuation() {
        out.push('\\');
    }
    out.push(letter);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_xpath_says() {
        for (pattern, text, matches) in [
            ("B.* Simpson", "Bart Simpson", true),
            ("art", "Bart Simpson", true),
            ("^art", "Bart", false),
            ("^B.*t$", "Bart", true),
            ("read|write", "overwrite", true),
            ("a.c", "a\nc", false),
            (r"^\i\c*$", "Æ1-x", true),
            (r"^\i\c*$", "1x", false),
            (r"^[\i-[:]]+$", "a:b", false),
            (r"^[a-z-[aeiou]]+$", "rhythm", true),
            (r"^[a-z-[aeiou]]+$", "vowel", false),
            (r"^[a-z-[aeiou-[e]]]+$", "teeth", true),
            (r"^\d{3}$", "٣٤٥", true),
            (r"^[\w]+$", "ø_", false),
            (r"^\w+$", "ø", true),
            (r"^\p{Lu}\p{Ll}+$", "Ål", true),
            (r"^\P{Lu}$", "a", true),
            (r"^[^\s&&]$", "&", false),
            (r"^[-a]$", "-", true),
            (r"^[a-]$", "-", true),
            (r"a\$\.\[\]", "a$.[]", true),
            ("#~ ", "#~ ", true),
            ("x{2,3}?", "xx", true),
            (r"^\p{IsBasicLatin}+$", "ab", true),
        ] {
            let found = Pattern::read(pattern).map(|pattern| pattern.is_match(text, &mut Fuel::new(1 << 20)).unwrap());
            assert_eq!(found, Ok(matches), "`{pattern}` on `{text}`");
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
            r"\",
            "(",
            "a)",
            r"\p{Greek}",
            r"\pL",
            "[[a]]",
            "*a",
            "a{1000000}",
            "[a-[b]c]",
            "[z-a]",
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
    }
}

//! Free texts in bodies: not empty, bounded, without control characters.

use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::{Problem, codes};

/// Longest name, title or reference.
pub(crate) const NAME_CHARS_MAX: usize = 255;

/// A text in the three written languages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LocalizedText {
    pub(crate) nb: String,
    pub(crate) nn: String,
    pub(crate) en: String,
}

/// The text, trimmed.
pub(crate) fn text(field: &str, text: &str, chars_max: usize) -> Result<String, Problem> {
    let text = text.trim();
    if is_text(text, chars_max) {
        return Ok(text.to_owned());
    }
    let expected = format!("`{field}`: expected 1 to {chars_max} characters without control characters");
    Err(Problem::new(codes::FIELD_INVALID).detail(expected))
}

/// Not empty, at most `chars_max` characters, no control characters.
pub(crate) fn is_text(text: &str, chars_max: usize) -> bool {
    !text.is_empty() && text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_trimmed_and_bounded() {
        assert_eq!(text("name", " Hansen & Sønner ", 15).unwrap(), "Hansen & Sønner");
        assert!(text("name", &"ø".repeat(255), 255).is_ok());
        for wrong in ["", "  ", "a\u{0}b", "a\nb", &"x".repeat(256)] {
            assert!(text("name", wrong, 255).is_err(), "{wrong:?}");
        }
    }
}

//! Text that every refusal takes, put together from pieces in one buffer: a refused call is to cost little more than a permitted
//! one, and formatting would cost most of it. What is written seldom is formatted, or serialized (`reply::metadata`).

use policies::id::{OrganizationNumber, SystemUserId};
use policies::snapshot::SnapshotVersion;

pub(crate) fn push_number(text: &mut String, number: u64) {
    let mut digits = [b'0'; 20];
    let mut rest = number;
    let mut first = digits.len();
    while let Some(digit) = first.checked_sub(1).and_then(|place| digits.get_mut(place)) {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        first -= 1;
        if rest == 0 {
            break;
        }
    }
    let digits = digits.get(first..).unwrap_or_default();
    text.push_str(std::str::from_utf8(digits).unwrap_or_default());
}

pub(crate) fn push_organization(text: &mut String, number: OrganizationNumber) {
    text.push_str(number.encode(&mut [0; 9]));
}

pub(crate) fn push_system_user(text: &mut String, id: SystemUserId) {
    text.push_str(id.as_uuid().hyphenated().encode_lower(&mut [0; 36]));
}

/// `epoch.version`, as it displays itself.
pub(crate) fn push_version(text: &mut String, version: SnapshotVersion) {
    push_number(text, version.epoch);
    text.push('.');
    push_number(text, version.version);
}

/// Escapes the end of a text, from here on, as a JSON string demands (RFC 8259 section 7).
pub(crate) fn escape_from(text: &mut String, start: usize) {
    let is_odd = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    let written = text.as_bytes().get(start..).unwrap_or_default();
    // Looked at to the end: many at a time.
    if written.iter().fold(false, |odd, byte| odd | is_odd(*byte)) {
        // A string cannot fail to serialize.
        let quoted = serde_json::to_string(&text.split_off(start)).unwrap_or_default();
        let escaped = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        text.push_str(escaped.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_are_as_they_display_themselves() {
        for number in [0, 7, 10, 999, 1_795_348_800_000, u64::MAX] {
            let mut text = "n=".to_owned();
            push_number(&mut text, number);
            assert_eq!(text, format!("n={number}"));
        }
        let version = SnapshotVersion { epoch: u64::MAX, version: 0 };
        let (system_user, organization) = ("f950ddae-06c3-4b57-b940-702417a90df0", "310247030");
        let mut text = String::new();
        push_version(&mut text, version);
        push_system_user(&mut text, system_user.parse().unwrap());
        push_organization(&mut text, organization.parse().unwrap());
        assert_eq!(text, format!("{version}{system_user}{organization}"));
    }

    #[test]
    fn any_text_is_one_value() {
        for text in ["", "vat", "a\"b", "\\", "«blåbær»\u{2028}", "\r\n\t\u{0}\u{1f}\u{7f}", "\",\"x\":\"", "</a>"]
        {
            let mut json = format!("\"before{text}");
            escape_from(&mut json, "\"before".len());
            json.push('"');
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), format!("before{text}"));
        }
    }
}

//! Bytes to an XML tree: UTF-8 or UTF-16, bounded in size and depth, without document types and so without entities.
//!
//! Depth is counted by a loop before any parser sees the text. What the elements mean is for [`super::parse`] and
//! [`super::xml_context`].

use std::borrow::Cow;

use roxmltree::{Document, Node, ParsingOptions};

/// Longest document that is read, in bytes.
pub const XML_BYTES_MAX: usize = 4 << 20;
/// Deepest nesting of elements that is read.
pub const XML_DEPTH_MAX: usize = 64;
/// Most attributes of one element, namespaces among them: each is compared with each.
const ATTRIBUTES_MAX: usize = 64;
/// Most nodes (elements, texts, comments) of one document.
const NODES_MAX: u32 = 500_000;

/// Why bytes are not a document that we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}; {cure}")]
pub(crate) struct XmlError {
    pub(crate) line: u32,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) cure: &'static str,
}

/// The text of a document, whatever Unicode form its bytes are in.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    if bytes.len() > XML_BYTES_MAX {
        let message = format!("the document has {} bytes, more than {XML_BYTES_MAX}", bytes.len());
        return Err(XmlError { line: 1, code: "xml_too_large", message, cure: "split it" });
    }
    let not_unicode = |form: &str| XmlError {
        line: 1,
        code: "xml_encoding",
        message: format!("the document is not {form}"),
        cure: "save it as UTF-8",
    };
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        match rest {
            [] => String::from_utf16(&units.iter().map(|pair| unit(*pair)).collect::<Vec<_>>()).ok(),
            _ => None,
        }
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => std::str::from_utf8(rest).map(Cow::from).map_err(|_| not_unicode("UTF-8")),
        [0xff, 0xfe, rest @ ..] => {
            utf16(rest, u16::from_le_bytes).map(Cow::from).ok_or_else(|| not_unicode("UTF-16LE"))
        }
        [0xfe, 0xff, rest @ ..] => {
            utf16(rest, u16::from_be_bytes).map(Cow::from).ok_or_else(|| not_unicode("UTF-16BE"))
        }
        // `<?` without a byte order mark, as XML 1.0 appendix F reads it.
        [0x3c, 0, ..] => utf16(bytes, u16::from_le_bytes).map(Cow::from).ok_or_else(|| not_unicode("UTF-16LE")),
        [0, 0x3c, ..] => utf16(bytes, u16::from_be_bytes).map(Cow::from).ok_or_else(|| not_unicode("UTF-16BE")),
        _ => std::str::from_utf8(bytes).map(Cow::from).map_err(|_| not_unicode("UTF-8")),
    }
}

/// The tree of a document's text.
pub(crate) fn tree(text: &str) -> Result<Document<'_>, XmlError> {
    match excess(text) {
        Some((line, Excess::Depth)) => {
            return Err(XmlError {
                line,
                code: "xml_too_deep",
                message: format!("elements are nested deeper than {XML_DEPTH_MAX}"),
                cure: "flatten the expression or the policy sets",
            });
        }
        Some((line, Excess::Attributes)) => {
            return Err(XmlError {
                line,
                code: "xml_too_many_attributes",
                message: format!("an element has more than {ATTRIBUTES_MAX} attributes"),
                cure: "remove those that XACML does not know",
            });
        }
        None => {}
    }
    // Document types are refused, and with them every entity.
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| XmlError {
        line: error.pos().row,
        code: "xml_malformed",
        message: error.to_string(),
        cure: "correct the XML; document types are not read",
    })
}

/// Where lines begin, so that finding a node's line does not read the text again.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line that a node begins on, from 1.
    pub(crate) fn line(&self, node: Node<'_, '_>) -> u32 {
        let before = self.0.partition_point(|newline| *newline < node.range().start);
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// The elements directly inside.
pub(crate) fn elements<'a, 'input>(node: Node<'a, 'input>) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(Node::is_element)
}

/// All text directly inside, also around comments, as it stands.
pub(crate) fn text(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|child| child.text()).collect()
}

/// `true`, `false`, `1`, `0` as XML Schema reads them.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// What there is too much of.
enum Excess {
    Depth,
    Attributes,
}

/// The line on which there is too much. A guide only: text that is not XML is refused by the parser.
fn excess(text: &str) -> Option<(u32, Excess)> {
    let (mut open, mut line) = (0_usize, 1_u32);
    let mut rest = text;
    while let Some((before, markup)) = rest.split_once('<') {
        line = line.saturating_add(newlines(before));
        let end = if markup.starts_with("!--") {
            "-->"
        } else if markup.starts_with("![CDATA[") {
            "]]>"
        } else if markup.starts_with('?') {
            "?>"
        } else {
            let (inside, after) = tag(markup);
            if inside.starts_with('/') {
                open = open.saturating_sub(1);
            } else if !inside.starts_with('!') && !inside.ends_with('/') {
                open = open.saturating_add(1);
                if open > XML_DEPTH_MAX {
                    return Some((line, Excess::Depth));
                }
            }
            if inside.bytes().filter(|byte| *byte == b'=').count() > ATTRIBUTES_MAX
                && attributes(inside) > ATTRIBUTES_MAX
            {
                return Some((line, Excess::Attributes));
            }
            line = line.saturating_add(newlines(inside));
            rest = after;
            continue;
        };
        let (inside, after) = markup.split_once(end)?;
        line = line.saturating_add(newlines(inside));
        rest = after;
    }
    None
}

/// A tag up to its `>` outside quotes, and what follows.
fn tag(markup: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, byte) in markup.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return (markup.get(..at).unwrap_or(""), markup.get(at.saturating_add(1)..).unwrap_or("")),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    (markup, "")
}

/// How many values in quotes a tag has.
fn attributes(tag: &str) -> usize {
    let (mut quote, mut count) = (None, 0_usize);
    for byte in tag.bytes() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => {
                quote = None;
                count = count.saturating_add(1);
            }
            _ => {}
        }
    }
    count
}

fn newlines(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unicode_form_is_read() {
        let text = "<?xml version=\"1.0\"?><a>ø</a>";
        let utf16 = |unit: fn(u16) -> [u8; 2], mark: bool| {
            mark.then_some('\u{feff}')
                .into_iter()
                .chain(text.chars())
                .collect::<String>()
                .encode_utf16()
                .flat_map(unit)
                .collect::<Vec<u8>>()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            utf16(u16::to_le_bytes, true),
            utf16(u16::to_be_bytes, true),
            utf16(u16::to_le_bytes, false),
            utf16(u16::to_be_bytes, false),
        ] {
            assert_eq!(decode(&bytes).unwrap(), text);
        }
        for bytes in [&b"<a>\xff</a>"[..], b"\xff\xfe<", b"\xff\xfe\x00\xd8"] {
            assert_eq!(decode(bytes).unwrap_err().code, "xml_encoding");
        }
        assert_eq!(decode(&vec![b' '; XML_BYTES_MAX + 1]).unwrap_err().code, "xml_too_large");
    }

    #[test]
    fn depth_is_counted_before_parsing() {
        let nested = |depth: usize| format!("{}{}", "<a b='>'>".repeat(depth), "</a>".repeat(depth));
        assert!(tree(&nested(XML_DEPTH_MAX)).is_ok());
        assert_eq!(tree(&nested(XML_DEPTH_MAX + 1)).unwrap_err().code, "xml_too_deep");
        let lines = format!("\n{}", "<a>\n".repeat(100_000));
        assert_eq!(tree(&lines).unwrap_err().line, 66);
        let flat =
            format!("<a>{}<!-- {} --><![CDATA[{}]]></a>", "<b/>".repeat(100), "<a>".repeat(100), "<a>".repeat(100));
        assert!(tree(&flat).is_ok());
        let wide = |count: usize| {
            format!("<a{} b='{}'/>", (1..count).map(|at| format!(" a{at}=''")).collect::<String>(), "=".repeat(100))
        };
        assert!(tree(&wide(ATTRIBUTES_MAX)).is_ok());
        assert_eq!(tree(&wide(ATTRIBUTES_MAX + 1)).unwrap_err().code, "xml_too_many_attributes");
    }

    #[test]
    fn entities_and_garbage_are_refused() {
        for wrong in
            [r#"<!DOCTYPE l [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><l>&b;</l>"#, "", "<a", "<!--", "<a></b>", "\0"]
        {
            assert_eq!(tree(wrong).unwrap_err().code, "xml_malformed", "{wrong}");
        }
    }

    #[test]
    fn lines_are_found() {
        let text = "<a>\n\n<b/>\n<c/></a>";
        let document = tree(text).unwrap();
        let lines = Lines::of(text);
        assert_eq!(elements(document.root_element()).map(|node| lines.line(node)).collect::<Vec<_>>(), [3, 4]);
    }
}

//! Classes of characters: what stands between brackets, and what an escape stands for.

use super::categories::{categories_named, category_of};

/// XML's letters that may begin a name, and those that may follow.
const NAME_START: &[(char, char)] = &[
    (':', ':'),
    ('A', 'Z'),
    ('_', '_'),
    ('a', 'z'),
    ('\u{C0}', '\u{D6}'),
    ('\u{D8}', '\u{F6}'),
    ('\u{F8}', '\u{2FF}'),
    ('\u{370}', '\u{37D}'),
    ('\u{37F}', '\u{1FFF}'),
    ('\u{200C}', '\u{200D}'),
    ('\u{2070}', '\u{218F}'),
    ('\u{2C00}', '\u{2FEF}'),
    ('\u{3001}', '\u{D7FF}'),
    ('\u{F900}', '\u{FDCF}'),
    ('\u{FDF0}', '\u{FFFD}'),
    ('\u{10000}', '\u{EFFFF}'),
];
const NAME_MORE: &[(char, char)] =
    &[('-', '.'), ('0', '9'), ('\u{B7}', '\u{B7}'), ('\u{300}', '\u{36F}'), ('\u{203F}', '\u{2040}')];
const SPACE: &[(char, char)] = &[('\t', '\n'), ('\r', '\r'), (' ', ' ')];
const LINE_END: &[(char, char)] = &[('\n', '\n'), ('\r', '\r')];

/// A class, and what is taken from it: each part from the one before.
#[derive(Debug, Default)]
pub(super) struct Class(pub(super) Vec<Part>);

/// What stands between one pair of brackets.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) negated: bool,
    pub(super) items: Vec<Item>,
}

/// Characters that are told together.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item {
    /// From one to another.
    Range(char, char),
    /// Of some categories, a bit for each; or of none of them.
    Categories { of: u32, negated: bool },
    /// In some ranges; or in none of them.
    Ranges { of: &'static [(char, char)], negated: bool },
    /// Beginning or following in a name of XML; or not.
    Name { negated: bool },
}

impl Class {
    /// A class of one item.
    pub(super) fn of(item: Item) -> Self {
        Self(vec![Part { negated: false, items: vec![item] }])
    }

    pub(super) fn has(&self, letter: char) -> bool {
        self.0.iter().rev().fold(false, |is_taken, part| !is_taken && part.has(letter))
    }

    /// How much work it is to look at.
    pub(super) fn weight(&self) -> usize {
        self.0.iter().map(|part| part.items.len()).sum()
    }
}

impl Part {
    fn has(&self, letter: char) -> bool {
        self.items.iter().any(|item| item.has(letter)) != self.negated
    }
}

impl Item {
    /// Every character but the ends of lines.
    pub(super) const ANY: Self = Self::Ranges { of: LINE_END, negated: true };

    /// What an escape of one letter stands for.
    pub(super) fn of_escape(letter: char) -> Option<Self> {
        let negated = letter.is_ascii_uppercase();
        Some(match letter.to_ascii_lowercase() {
            's' => Self::Ranges { of: SPACE, negated },
            'i' => Self::Ranges { of: NAME_START, negated },
            'c' => Self::Name { negated },
            'd' => Self::Categories { of: categories_named("Nd")?, negated },
            'w' => {
                let of = categories_named("P")? | categories_named("Z")? | categories_named("C")?;
                Self::Categories { of, negated: !negated }
            }
            _ => return None,
        })
    }

    /// What a category or block stands for, by its name.
    pub(super) fn named(name: &str, negated: bool) -> Option<Self> {
        Some(match name {
            "IsBasicLatin" => Self::Ranges { of: &[('\0', '\u{7F}')], negated },
            "IsLatin-1Supplement" => Self::Ranges { of: &[('\u{80}', '\u{FF}')], negated },
            _ => Self::Categories { of: categories_named(name)?, negated },
        })
    }

    fn has(self, letter: char) -> bool {
        let is_in = |ranges: &[(char, char)]| ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter));
        match self {
            Self::Range(first, last) => (first..=last).contains(&letter),
            Self::Categories { of, negated } => (of & (1 << category_of(letter)) != 0) != negated,
            Self::Ranges { of, negated } => is_in(of) != negated,
            Self::Name { negated } => (is_in(NAME_START) || is_in(NAME_MORE)) != negated,
        }
    }
}

//! Which characters a part of a call may be written with, and what is to be done about some of them.

/// Nothing is to be done about it.
pub(super) const PLAIN: u8 = 0;
/// It must not be there.
pub(super) const NOT_ALLOWED: u8 = 1;

pub(super) const DIGITS_AND_SMALL_LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
pub(super) const CAPITAL_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The class of every byte, a bit each, so that those of a whole text can be joined.
pub(super) struct Classes([u8; 256]);

impl Classes {
    /// These characters have these classes; no other is allowed.
    #[expect(clippy::indexing_slicing, reason = "while compiling")]
    pub(super) const fn of(sets: &[(&[u8], u8)]) -> Self {
        let mut classes = [NOT_ALLOWED; 256];
        let mut set = 0;
        while set < sets.len() {
            let (characters, class) = sets[set];
            let mut at = 0;
            while at < characters.len() {
                classes[characters[at] as usize] = class;
                at += 1;
            }
            set += 1;
        }
        Self(classes)
    }

    pub(super) fn class(&self, byte: u8) -> u8 {
        self.0.get(usize::from(byte)).copied().unwrap_or(NOT_ALLOWED)
    }
}

//! From a pattern to its program, from left to right, with a stack for the groups that are open.

use std::iter::Peekable;
use std::str::Chars;

use super::class::{Class, Item, Part};
use super::{CLASSES_DEPTH_MAX, GROUPS_DEPTH_MAX, Machine, STEPS_MAX, Step};

type Result<T> = std::result::Result<T, &'static str>;

const TOO_LARGE: &str = "is too large";
/// Most repetitions that can be counted, in digits.
const COUNT_DIGITS_MAX: usize = 4;

/// Reads a pattern, or says what is wrong with it.
pub(super) fn read(pattern: &str) -> Result<Machine> {
    let mut reading =
        Reading { letters: pattern.chars().peekable(), classes: Vec::new(), steps: 0, open: vec![Group::default()] };
    while let Some(letter) = reading.letters.next() {
        reading.letter(letter)?;
    }
    let whole = reading.open.pop().filter(|_| reading.open.is_empty()).ok_or("has a group that does not end")?;
    let mut steps = whole.close();
    steps.push(Step::Match);
    Ok(Machine { steps, classes: reading.classes })
}

struct Reading<'p> {
    letters: Peekable<Chars<'p>>,
    classes: Vec<Class>,
    /// How many steps there are in all groups together.
    steps: usize,
    /// Groups that are open; the first is the pattern.
    open: Vec<Group>,
}

#[derive(Default)]
struct Group {
    /// Alternatives that are complete.
    alternatives: Vec<Vec<Step>>,
    /// The last alternative, so far.
    steps: Vec<Step>,
    /// Where in it the last atom begins, if it can be repeated.
    atom: Option<usize>,
}

impl Group {
    /// One of the alternatives.
    fn close(mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut ends = Vec::new();
        for alternative in self.alternatives {
            steps.push(Step::Fork(far(alternative.len().saturating_add(2))));
            steps.extend(alternative);
            ends.push(steps.len());
            steps.push(Step::Jump(0));
        }
        steps.append(&mut self.steps);
        let end = steps.len();
        for at in ends {
            if let Some(step) = steps.get_mut(at) {
                *step = Step::Jump(far(end.saturating_sub(at)));
            }
        }
        steps
    }
}

impl Reading<'_> {
    fn letter(&mut self, letter: char) -> Result<()> {
        match letter {
            '(' if self.letters.peek() == Some(&'?') => Err("has a group that XPath does not know"),
            '(' if self.open.len() > GROUPS_DEPTH_MAX => Err("nests too many groups"),
            '(' => {
                self.open.push(Group::default());
                Ok(())
            }
            ')' => {
                let group = self.open.pop().filter(|_| !self.open.is_empty());
                let steps = group.ok_or("has a closing bracket without its opening one")?.close();
                self.atom(&steps)
            }
            '|' => {
                // Room for the fork before it and the jump behind it.
                self.count(2)?;
                let group = self.open.last_mut().ok_or(TOO_LARGE)?;
                group.alternatives.push(std::mem::take(&mut group.steps));
                group.atom = None;
                Ok(())
            }
            '?' => self.repeat(0, Some(1)),
            '*' => self.repeat(0, None),
            '+' => self.repeat(1, None),
            '{' => {
                let count = self.until_brace().and_then(|count| read_count(&count));
                let (least, most) = count.ok_or("has braces that hold no count")?;
                self.repeat(least, most)
            }
            '}' | ']' => Err("has a closing bracket without its opening one"),
            '^' => self.new_atom(Step::Start),
            '$' => self.new_atom(Step::End),
            '.' => self.item(Item::ANY),
            '[' => {
                let class = self.class()?;
                self.of_class(class)
            }
            '\\' => match self.escape()? {
                Escaped::Letter(letter) => self.new_atom(Step::Letter(letter)),
                Escaped::Item(item) => self.item(item),
            },
            _ => self.new_atom(Step::Letter(letter)),
        }
    }

    fn item(&mut self, item: Item) -> Result<()> {
        self.of_class(Class::of(item))
    }

    fn of_class(&mut self, class: Class) -> Result<()> {
        let position = u32::try_from(self.classes.len()).map_err(|_| TOO_LARGE)?;
        self.classes.push(class);
        self.new_atom(Step::Class(position))
    }

    fn new_atom(&mut self, step: Step) -> Result<()> {
        self.count(1)?;
        self.atom(&[step])
    }

    /// Adds what the next repetition is of. Its steps are counted already.
    fn atom(&mut self, steps: &[Step]) -> Result<()> {
        let group = self.open.last_mut().ok_or(TOO_LARGE)?;
        group.atom = Some(group.steps.len());
        group.steps.extend_from_slice(steps);
        Ok(())
    }

    fn count(&mut self, steps: usize) -> Result<()> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX { Err(TOO_LARGE) } else { Ok(()) }
    }

    /// Repeats the last atom, at least and at most so often. How greedy it is does not change whether there is a match.
    fn repeat(&mut self, least: usize, most: Option<usize>) -> Result<()> {
        self.letters.next_if_eq(&'?');
        let nothing = "repeats what is not there";
        let atom = {
            let group = self.open.last_mut().ok_or(TOO_LARGE)?;
            let from = group.atom.take().ok_or(nothing)?;
            group.steps.split_off(from)
        };
        let copies = most.unwrap_or(least.max(1)).max(1);
        self.count(atom.len().saturating_add(2).saturating_mul(copies))?;
        let group = self.open.last_mut().ok_or(TOO_LARGE)?;
        let past = far(atom.len().saturating_add(1));
        match most {
            None if least == 0 => {
                group.steps.push(Step::Fork(past.saturating_add(1)));
                group.steps.extend_from_slice(&atom);
                group.steps.push(Step::Jump(past.saturating_neg()));
            }
            None => {
                for _ in 0..least {
                    group.steps.extend_from_slice(&atom);
                }
                group.steps.push(Step::Fork(far(atom.len()).saturating_neg()));
            }
            Some(most) => {
                for index in 0..most {
                    if index >= least {
                        group.steps.push(Step::Fork(past));
                    }
                    group.steps.extend_from_slice(&atom);
                }
            }
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<Escaped> {
        let letter = self.letters.next().ok_or("ends with a backslash")?;
        Ok(match letter {
            'n' => Escaped::Letter('\n'),
            'r' => Escaped::Letter('\r'),
            't' => Escaped::Letter('\t'),
            'p' | 'P' => {
                self.letters.next_if_eq(&'{').ok_or("names no category")?;
                let item = self.until_brace().and_then(|name| Item::named(&name, letter == 'P'));
                Escaped::Item(item.ok_or("names a category or block that is not known")?)
            }
            '\\' | '|' | '.' | '-' | '^' | '?' | '*' | '+' | '{' | '}' | '(' | ')' | '[' | ']' | '$' => {
                Escaped::Letter(letter)
            }
            '0'..='9' => return Err("has a back reference, which cannot be matched in linear time"),
            _ => Escaped::Item(Item::of_escape(letter).ok_or("has an escape that XPath does not know")?),
        })
    }

    /// What stands before the closing brace.
    fn until_brace(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.letters.next()? {
                '}' => return Some(text),
                letter => text.push(letter),
            }
        }
    }

    /// Reads a class, after its opening bracket.
    fn class(&mut self) -> Result<Class> {
        let mut class = Class::default();
        while class.0.len() < CLASSES_DEPTH_MAX {
            let mut part = Part { negated: self.letters.next_if_eq(&'^').is_some(), items: Vec::new() };
            let goes_on = self.part(&mut part)?;
            class.0.push(part);
            if goes_on {
                continue;
            }
            // A subtraction ends its class.
            for _ in 1..class.0.len() {
                self.letters.next_if_eq(&']').ok_or("has something after a subtraction")?;
            }
            return Ok(class);
        }
        Err("nests too many classes")
    }

    /// Reads what stands between brackets, up to the closing one, or to the opening one of what is taken from it.
    fn part(&mut self, part: &mut Part) -> Result<bool> {
        const ENDLESS: &str = "has a class that does not end";
        loop {
            let letter = self.letters.next().ok_or(ENDLESS)?;
            let is_first = part.items.is_empty();
            let first = match letter {
                ']' if is_first => return Err("has an empty class"),
                ']' => return Ok(false),
                '[' => return Err("has a bracket inside a class that is not escaped"),
                '-' if self.letters.next_if_eq(&'[').is_some() => {
                    return if is_first { Err("has an empty class") } else { Ok(true) };
                }
                '-' if is_first || matches!(self.letters.peek(), Some(']')) => '-',
                '-' => return Err("has a hyphen inside a class that joins nothing"),
                '\\' => match self.escape()? {
                    Escaped::Letter(letter) => letter,
                    Escaped::Item(item) => {
                        part.items.push(item);
                        continue;
                    }
                },
                _ => letter,
            };
            let last = self.end_of_range()?.unwrap_or(first);
            if last < first {
                return Err("has a range that ends before it begins");
            }
            part.items.push(Item::Range(first, last));
        }
    }

    /// The last character of a range whose first one was read, if it is one.
    fn end_of_range(&mut self) -> Result<Option<char>> {
        // Looking two characters ahead: a hyphen before a bracket stands for itself, or for a subtraction.
        let mut ahead = self.letters.clone();
        if ahead.next() != Some('-') || matches!(ahead.next(), Some('[' | ']') | None) {
            return Ok(None);
        }
        self.letters.next();
        match self.letters.next() {
            Some('\\') => match self.escape()? {
                Escaped::Letter(letter) => Ok(Some(letter)),
                Escaped::Item(_) => Err("has a range that ends with a class"),
            },
            Some('-') | None => Err("has a hyphen inside a class that joins nothing"),
            other => Ok(other),
        }
    }
}

enum Escaped {
    Letter(char),
    Item(Item),
}

/// Least and most of `3`, `3,` or `3,5`.
fn read_count(text: &str) -> Option<(usize, Option<usize>)> {
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let short = digits.trim_start_matches('0');
        // More than can be counted is more than fits, too.
        let too_many = "9".repeat(COUNT_DIGITS_MAX);
        let short = if short.len() > COUNT_DIGITS_MAX { too_many.as_str() } else { short };
        is_number.then(|| if short.is_empty() { Some(0) } else { short.parse().ok() })?
    };
    let (least, most) = match text.split_once(',') {
        None => (number(text)?, Some(number(text)?)),
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    most.is_none_or(|most| least <= most).then_some((least, most))
}

/// How far off a step is. Programs are far shorter than the numbers that tell it.
fn far(steps: usize) -> i32 {
    i32::try_from(steps).unwrap_or(i32::MAX)
}

//! Requests made of what a rule names: those that the rule is for as either semantics reads it, and such as miss it
//! narrowly. The same rule gives the same requests.

use std::collections::{BTreeMap, BTreeSet};

use super::{category_name, designator};
use crate::urn;
use crate::xacml::ast::{AllOf, AnyOf, Designator, Match, Policy, Target};
use crate::xacml::request::{Category, Request, RequestAttribute, RequestValue};
use crate::xacml::rights::{TextComparison, category_of, compared, matches};
use crate::xacml::value::{DataType, Value};

/// Most requests that are made of one rule.
pub(super) const REQUESTS_MAX: usize = 1_024;
/// Most choices of alternatives that are made into requests, for each semantics.
const CHOICES_MAX: usize = 192;
/// Alternatives of one part that are chosen, beside the first of all others.
const SINGLES: usize = 24;
/// Alternatives of one part that are chosen beside as many of another.
const PAIRED: usize = 5;
/// Choices of which every variant is made.
const VARIED_MAX: usize = 6;
/// Most values of one request, so that a rule with very many makes no very large ones.
const VALUES_MAX: usize = 64;
/// Requests with values drawn: for a rule with a condition, and for a policy as a whole.
const DRAWN: usize = 128;

/// One value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Given {
    category: String,
    id: String,
    issuer: Option<String>,
    data_type: String,
    text: String,
}

/// The values of a request.
pub(super) type Values = BTreeSet<Given>;

/// Collects requests, each once.
struct Requests {
    /// What every request has.
    base: Values,
    all: Vec<Values>,
    seen: BTreeSet<Values>,
}

/// What a request may say for an attribute.
struct Candidates<'a> {
    designator: &'a Designator,
    texts: Vec<String>,
}

/// Requests for a policy of one rule. All of them have `base`, the attributes of the policy's resource.
pub(super) fn requests(policy: &Policy, base: &[(&str, String)]) -> Vec<Values> {
    let base = base.iter().map(|(id, text)| Given::string(urn::CATEGORY_RESOURCE, id, text)).collect();
    let mut requests = Requests { base, all: Vec::new(), seen: BTreeSet::new() };
    let targets: Vec<&Target> = policy.rules.iter().map(|rule| &rule.target).collect();
    let mut chosen = Vec::new();
    for target in targets {
        chosen.extend(choices(&by_category(target)));
        chosen.extend(choices(&by_any_of(target)));
    }
    // What the policy's own target demands, beside the rule's.
    let of_policy: Vec<&Match> = choices(&by_any_of(&policy.target)).into_iter().next().unwrap_or_default();
    for choice in &chosen {
        requests.add(choice.iter().filter_map(|one| Given::of(one)).collect());
        // Spelled so that only those see it for whom letter case does not count.
        requests.add(choice.iter().filter_map(|one| Given::in_other_case(one)).collect());
        if !of_policy.is_empty() {
            requests.add(choice.iter().chain(&of_policy).filter_map(|one| Given::of(one)).collect());
        }
    }
    let all = policy.rules.iter().flat_map(|rule| matches(&rule.target)).chain(of_policy.iter().copied());
    requests.add(all.take(VALUES_MAX).filter_map(Given::of).collect());
    for choice in chosen.iter().step_by(chosen.len().div_ceil(VARIED_MAX).max(1)) {
        let with_target: Vec<&Match> = choice.iter().chain(&of_policy).copied().take(VALUES_MAX).collect();
        requests.vary(&with_target);
    }
    requests.draw(policy, &chosen, &of_policy);
    requests.all
}

/// Requests with values of all rules, drawn as they come: differences that no one rule shows.
pub(super) fn drawn(policy: &Policy, base: &[(&str, String)]) -> Vec<Values> {
    let base = base.iter().map(|(id, text)| Given::string(urn::CATEGORY_RESOURCE, id, text)).collect();
    let mut requests = Requests { base, all: Vec::new(), seen: BTreeSet::new() };
    let targets = policy.rules.iter().map(|rule| &rule.target).chain([&policy.target]);
    let pool: Values = targets.flat_map(matches).filter_map(Given::of).collect();
    let pool: Vec<_> = pool.into_iter().collect();
    let mut dice = Dice(0x706f_7274_7661_6b0a);
    for _ in 0..DRAWN {
        let count = dice.below(7);
        let mut values: Values = (0..count).filter_map(|_| pool.get(dice.below(pool.len())).cloned()).collect();
        if let (0, Some(mut given)) = (dice.below(6), values.pop_first()) {
            given.data_type = DataType::AnyUri.uri().to_owned();
            values.insert(given);
        }
        requests.add(values);
    }
    requests.all
}

/// The request with these values.
pub(super) fn request(values: &Values) -> Request {
    let mut categories: BTreeMap<&str, Vec<RequestAttribute>> = BTreeMap::new();
    for given in values {
        categories.entry(&given.category).or_default().push(RequestAttribute {
            id: given.id.clone(),
            issuer: given.issuer.clone(),
            include_in_result: false,
            values: vec![RequestValue { data_type: given.data_type.clone(), text: given.text.clone() }],
        });
    }
    let categories = categories.into_iter().map(|(category, attributes)| Category {
        category: category.to_owned(),
        id: None,
        attributes,
    });
    Request { categories: categories.collect(), ..Request::default() }
}

/// The values in a sentence.
pub(super) fn describe(values: &Values) -> String {
    let order = [urn::CATEGORY_SUBJECT, urn::CATEGORY_RESOURCE, urn::CATEGORY_ACTION];
    let others: BTreeSet<&str> = values.iter().map(|given| given.category.as_str()).collect();
    let categories = order.into_iter().chain(others.into_iter().filter(|category| !order.contains(category)));
    let parts = categories.filter_map(|category| {
        let of_category: Vec<_> =
            values.iter().filter(|given| given.category == category).map(Given::describe).collect();
        (!of_category.is_empty()).then(|| format!("{} {}", category_name(category), of_category.join(", ")))
    });
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { "nothing at all".to_owned() } else { parts.join("; ") }
}

impl Given {
    fn of(one: &Match) -> Option<Self> {
        Some(Self::with(designator(one)?, &one.literal.data_type, &one.literal.text))
    }

    /// The value, in other letters if the function does not tell them apart.
    fn in_other_case(one: &Match) -> Option<Self> {
        let mut given = Self::of(one)?;
        if TextComparison::of(&one.function) == Some(TextComparison::IgnoringCase) {
            let small = given.text.to_lowercase();
            given.text = if small == given.text { given.text.to_uppercase() } else { small };
        }
        Some(given)
    }

    fn with(found: &Designator, data_type: &str, text: &str) -> Self {
        Self {
            category: found.category.clone(),
            id: found.id.clone(),
            issuer: None,
            data_type: data_type.to_owned(),
            text: text.to_owned(),
        }
    }

    fn string(category: &str, id: &str, text: &str) -> Self {
        let data_type = DataType::String.uri().to_owned();
        Self { category: category.to_owned(), id: id.to_owned(), issuer: None, data_type, text: text.to_owned() }
    }

    /// Whether it is another value of the same category.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self != other && self.category == other.category
    }

    /// Whether it is one of these attributes of the resource.
    pub(super) fn is_of_resource(&self, attributes: &[(&str, String)]) -> bool {
        self.category == urn::CATEGORY_RESOURCE
            && attributes.iter().any(|(id, text)| *id == self.id && *text == self.text)
    }

    fn describe(&self) -> String {
        let name = self.id.strip_prefix("urn:altinn:").unwrap_or(&self.id);
        let mut text =
            if self.id == urn::ACTION_ID { format!("`{}`", self.text) } else { format!("{name} `{}`", self.text) };
        if self.data_type != DataType::String.uri() {
            let short = DataType::from_uri(&self.data_type).map(DataType::name);
            text += &format!(" ({})", short.unwrap_or(&self.data_type));
        }
        if let Some(issuer) = &self.issuer {
            text += &format!(" (issuer `{issuer}`)");
        }
        text
    }
}

impl Requests {
    fn add(&mut self, values: Values) {
        let values: Values = values.into_iter().take(VALUES_MAX).chain(self.base.iter().cloned()).collect();
        if self.all.len() < REQUESTS_MAX && self.seen.insert(values.clone()) {
            self.all.push(values);
        }
    }

    /// The values of matches, each once left out, given otherwise, or given beside another.
    fn vary(&mut self, chosen: &[&Match]) {
        let whole: Values = chosen.iter().filter_map(|one| Given::of(one)).collect();
        // Without whole categories, and with one alone.
        for category in whole.iter().map(|given| given.category.clone()).collect::<BTreeSet<_>>() {
            let (of_it, others): (Values, Values) = whole.iter().cloned().partition(|given| given.category == category);
            self.add(of_it);
            self.add(others);
        }
        self.add(Values::new());
        for one in chosen {
            let (Some(given), Some(found)) = (Given::of(one), designator(one)) else { continue };
            let mut without = whole.clone();
            without.remove(&given);
            let mut instead = Vec::new();
            let string = DataType::String.uri();
            for data_type in [found.data_type.as_str(), string, DataType::AnyUri.uri()] {
                instead.push(Given { data_type: data_type.to_owned(), ..given.clone() });
            }
            for text in [given.text.trim().to_owned(), given.text.to_lowercase(), given.text.to_uppercase()] {
                instead.push(Given { text, ..given.clone() });
            }
            instead.push(Given { issuer: found.issuer.clone(), ..given.clone() });
            for other in instead {
                self.add(without.iter().cloned().chain([other]).collect());
            }
            let beside = Given { text: "other".to_owned(), ..given.clone() };
            if given.data_type == string {
                self.add(whole.iter().cloned().chain([beside]).collect());
            }
            self.add(without);
        }
    }

    /// Requests for a rule with a condition: values for what it looks at, none, one or two of each.
    fn draw(&mut self, policy: &Policy, chosen: &[Vec<&Match>], of_policy: &[&Match]) {
        let candidates = candidates(policy);
        if candidates.is_empty() {
            return;
        }
        let empty = Vec::new();
        let mut dice = Dice(0x706f_7274_7661_6b07);
        for round in 0..DRAWN {
            let choice = chosen.get(dice.below(chosen.len().max(1))).unwrap_or(&empty);
            let mut values: Values = choice.iter().chain(of_policy).filter_map(|one| Given::of(one)).collect();
            for (at, candidate) in candidates.iter().enumerate() {
                // First nothing, then one of each alone, then as it comes.
                let count = match round {
                    0 => 0,
                    _ if round <= candidates.len() => usize::from(round == at.saturating_add(1)),
                    _ => [1, 1, 1, 0, 2].get(dice.below(5)).copied().unwrap_or(1),
                };
                for _ in 0..count {
                    let text = candidate.texts.get(dice.below(candidate.texts.len())).cloned().unwrap_or_default();
                    values.insert(Given::with(candidate.designator, &candidate.designator.data_type, &text));
                }
            }
            self.add(values);
        }
    }
}

/// What each attribute that a condition looks at may be: what it is compared with, and what is near.
fn candidates(policy: &Policy) -> Vec<Candidates<'_>> {
    let mut found: BTreeMap<(&str, &str, &str), Candidates<'_>> = BTreeMap::new();
    for together in compared(policy) {
        for designator in together.designators.into_iter().take(VALUES_MAX) {
            let key = (designator.category.as_str(), designator.id.as_str(), designator.data_type.as_str());
            let entry = found.entry(key).or_insert_with(|| Candidates { designator, texts: Vec::new() });
            let Some(data_type) = DataType::from_uri(&designator.data_type) else { continue };
            let compared = together.literals.iter().map(|literal| literal.text.trim().to_owned());
            let near = together.literals.iter().filter_map(|literal| literal.text.trim().parse::<i64>().ok());
            let near =
                near.flat_map(|number| [number.saturating_sub(1).to_string(), number.saturating_add(1).to_string()]);
            let usual =
                ["other", "0", "1.5", "true", "false", "2026-06-15", "12:00:00Z", "2026-06-15T12:00:00Z", "P1D", "P1M"];
            let all = compared.chain(near).chain(usual.map(str::to_owned));
            entry.texts.extend(all.filter(|text| Value::parse(data_type, text).is_ok()).take(VALUES_MAX));
        }
    }
    found.into_values().filter(|candidates| !candidates.texts.is_empty()).collect()
}

/// A target as Altinn reads it: for each category all alternatives.
fn by_category(target: &Target) -> Vec<Vec<Vec<&Match>>> {
    let all_ofs = || target.0.iter().flat_map(|AnyOf(all_ofs)| all_ofs);
    let categories: BTreeSet<&str> = matches(target).map(category_of).collect();
    let of_category = |category: &str| {
        let parts = all_ofs().map(|AllOf(matches)| matches.iter().filter(|one| category_of(one) == category).collect());
        parts.filter(|part: &Vec<_>| !part.is_empty()).collect()
    };
    let looked_at = [urn::CATEGORY_SUBJECT, urn::CATEGORY_RESOURCE, urn::CATEGORY_ACTION];
    categories.into_iter().filter(|category| looked_at.contains(category)).map(of_category).collect()
}

/// A target as the standard reads it.
fn by_any_of(target: &Target) -> Vec<Vec<Vec<&Match>>> {
    target
        .0
        .iter()
        .map(|AnyOf(all_ofs)| all_ofs.iter().map(|AllOf(matches)| matches.iter().collect()).collect())
        .collect()
}

/// Matches of one alternative each: every choice if they are few; otherwise each alternative at least once, then pairs, as
/// many as there may be.
fn choices<'a>(parts: &[Vec<Vec<&'a Match>>]) -> Vec<Vec<&'a Match>> {
    let mut chosen: BTreeSet<Vec<usize>> = BTreeSet::new();
    let mut ordered: Vec<Vec<usize>> = Vec::new();
    let mut choose = |choice: Vec<usize>| {
        if ordered.len() < CHOICES_MAX && chosen.insert(choice.clone()) {
            ordered.push(choice);
        }
        ordered.len() < CHOICES_MAX
    };
    let first = vec![0; parts.len()];
    let with = |values: &[(usize, usize)]| {
        let mut choice = first.clone();
        for (at, value) in values {
            choice.get_mut(*at).into_iter().for_each(|place| *place = *value);
        }
        choice
    };
    // Where there are many, they are mostly of one kind; some of them, first and last among these, show what all would.
    let some = |at: usize, most: usize| {
        let length = parts.get(at).map_or(0, Vec::len);
        (0..length).step_by(length.div_ceil(most).max(1)).chain(length.checked_sub(1))
    };
    let singles = (0..parts.len()).flat_map(|at| some(at, SINGLES).map(move |value| vec![(at, value)]));
    let pairs = (0..parts.len()).flat_map(|one| (one.saturating_add(1)..parts.len()).map(move |other| (one, other)));
    let pairs = pairs.flat_map(|(one, other)| {
        some(one, PAIRED)
            .flat_map(move |value| some(other, PAIRED).map(move |beside| vec![(one, value), (other, beside)]))
    });
    let _ = choose(first.clone()) && singles.chain(pairs).all(|values| choose(with(&values)));
    let mut dice = Dice(0x706f_7274_7661_6b08);
    for _ in 0..CHOICES_MAX {
        choose(parts.iter().map(|part| dice.below(part.len())).collect());
    }
    let matches_of = |choice: Vec<usize>| {
        choice.into_iter().zip(parts).filter_map(|(at, part)| part.get(at)).flatten().copied().collect()
    };
    ordered.into_iter().map(matches_of).collect()
}

/// Numbers that look random (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let limit = u64::try_from(limit.max(1)).unwrap_or(1);
        usize::try_from(self.0.checked_rem(limit).unwrap_or(0)).unwrap_or(0)
    }
}

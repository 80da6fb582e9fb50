//! An invented API provider of any size, the same in every run and host: whoever knows the shape knows every row.
//!
//! Most system users are standard ones with one row, for their own owner. The rest are agents, few of them with very many
//! clients. What a row holds comes from its system's templates: bundles of access packages, some with rights beside.
//! No floating point, so that the host that builds and the guest that asks agree to the last row.

use std::collections::BTreeSet;

use policies::id::{AccessPackage, IdError, OrganizationNumber, SystemId, SystemUserId};
use policies::right::Right;
use policies::snapshot::{DelegationDocument, SystemUserDocument, SystemUserKind};
use uuid::Uuid;

use crate::random::{Random, drawn, share};

/// Resources; each has two rights.
pub const RESOURCES: usize = 100;
/// Registered systems.
pub const SYSTEMS: usize = 200;
/// Access packages.
const PACKAGES: usize = 60;
/// Templates of one system, the first held by half of its rows.
const TEMPLATES_PER_SYSTEM: usize = 20;
/// Organisations; a prime, so that every stride reaches all of them.
const PARTIES: usize = 1_000_003;
/// First eight digits of the first organisation.
const PARTIES_FROM: u32 = 80_000_000;
/// From one to the next: they spread as the register's do.
const PARTIES_STEP: u32 = 17;
/// Most rows of one agent.
pub const ROWS_OF_AGENT_MAX: u32 = 20_000;
/// Fewest rows of one agent, its owner's among them.
const ROWS_OF_AGENT_MIN: u32 = 2;
/// Rows that change at each system user that changes.
pub const CHANGED_ROWS_OF_ONE: u32 = 10;
/// What is done to a resource, in order of the names.
pub const ACTIONS: [&str; 2] = ["read", "write"];
/// Scope that every route asks for.
pub const SCOPE: &str = "generated:api";

/// Names of drawn numbers.
mod name {
    pub(super) const SYSTEM_USER: u64 = 1;
    pub(super) const OWNER: u64 = 3;
    pub(super) const STRIDE: u64 = 4;
    pub(super) const SYSTEM: u64 = 5;
    pub(super) const TEMPLATE: u64 = 6;
    pub(super) const CONTENTS: u64 = 7;
    pub(super) const PACKAGE: u64 = 8;
    pub(super) const UNKNOWN: u64 = 9;
}

/// How large a world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// System users; the first of them are agents.
    pub system_users: u32,
    /// Those that act for clients.
    pub agents: u32,
    /// Rows (system user, party).
    pub rows: u32,
}

impl Shape {
    /// So many rows over so many system users; a tenth of them agents where rows abound, fewer otherwise.
    pub fn new(system_users: u32, rows: u32) -> Self {
        let one_in = if rows / system_users.max(1) >= 10 { 10 } else { 33 };
        Self { system_users, agents: (system_users / one_in).max(1), rows }
    }

    /// As many system users to the rows as 300,000 to 10,000,000.
    pub fn of_rows(rows: u32) -> Self {
        Self::new((rows / 100 * 3).max(4), rows)
    }
}

/// What system users of one system hold together.
#[derive(Debug, Clone)]
pub struct Template {
    /// Access packages.
    pub packages: BTreeSet<AccessPackage>,
    /// Rights delegated directly.
    pub rights: BTreeSet<Right>,
    /// All that comes to, by position among the rights.
    pub held: Vec<usize>,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The organisation acted for.
    pub party: OrganizationNumber,
    /// What is held for it; nothing for the owner of an agent.
    pub template: Option<usize>,
}

/// May the system user use the right for the party?
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Who asks.
    pub system_user: SystemUserId,
    /// For whom.
    pub party: OrganizationNumber,
    /// What, by position among the rights.
    pub right: usize,
    /// The right answer.
    pub answer: bool,
}

/// The whole of it.
#[derive(Debug)]
pub struct World {
    shape: Shape,
    /// First row of each agent, and where the rows of standard system users begin.
    starts: Vec<u32>,
    first: OrganizationNumber,
    templates: Vec<Template>,
    changed: u32,
}

impl World {
    /// The world of a shape.
    pub fn new(shape: Shape) -> Result<Self, IdError> {
        let templates = (0..SYSTEMS * TEMPLATES_PER_SYSTEM).map(template).collect::<Result<_, _>>()?;
        let first = organization(PARTIES_FROM).ok_or(IdError::Empty { kind: "register of parties" })?;
        Ok(Self { shape, starts: starts(shape), first, templates, changed: 0 })
    }

    /// Its size.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Every template.
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// Number of rows that the generator came to.
    pub fn row_count(&self) -> u32 {
        let agents = self.starts.last().copied().unwrap_or(0);
        agents + (self.shape.system_users - self.shape.agents)
    }

    /// The system user's id, a version 4 UUID.
    pub fn system_user_id(&self, user: u32) -> SystemUserId {
        system_user_id(name::SYSTEM_USER, user)
    }

    /// The organisation that owns the system user.
    pub fn owner(&self, user: u32) -> OrganizationNumber {
        self.party(self.owner_position(user))
    }

    /// The system that the system user belongs to, by position.
    pub fn system(&self, user: u32) -> usize {
        share(drawn(name::SYSTEM, user.into()), SYSTEMS)
    }

    /// The organisation at a position; any number will do.
    pub fn party(&self, position: u64) -> OrganizationNumber {
        organization(PARTIES_FROM + (position % PARTIES as u64) as u32 * PARTIES_STEP).unwrap_or(self.first)
    }

    /// Rows of a system user, the owner's first.
    pub fn rows(&self, user: u32) -> impl Iterator<Item = Row> {
        (0..self.rows_of(user)).map(move |position| self.row_of(user, position))
    }

    /// Number of rows of a system user.
    pub fn rows_of(&self, user: u32) -> u32 {
        let start = |at: usize| self.starts.get(at).copied();
        match (start(user as usize), start(user as usize + 1)) {
            (Some(start), Some(end)) => end - start,
            _ => 1,
        }
    }

    /// A row of a system user.
    pub fn row_of(&self, user: u32, position: u32) -> Row {
        let is_agent = user < self.shape.agents;
        let stride = if is_agent { 1 + share(drawn(name::STRIDE, user.into()), PARTIES - 1) as u64 } else { 0 };
        let party = self.party(self.owner_position(user) + stride * u64::from(position));
        let template = || {
            let number = drawn(name::TEMPLATE, u64::from(user) << 32 | u64::from(position));
            let rank = (number.trailing_zeros() as usize).min(TEMPLATES_PER_SYSTEM - 1);
            let system = self.system(user) + usize::from(self.is_changed(user, position));
            system % SYSTEMS * TEMPLATES_PER_SYSTEM + rank
        };
        Row { party, template: (!is_agent || position > 0).then(template) }
    }

    /// The system user and the position in it of a row.
    pub fn place(&self, row: u32) -> (u32, u32) {
        let agent = self.starts.partition_point(|start| *start <= row);
        match self.starts.get(agent.wrapping_sub(1)) {
            Some(start) if agent < self.starts.len() => (agent as u32 - 1, row - start),
            Some(start) => (self.shape.agents + (row - start), 0),
            None => (self.shape.agents + row, 0),
        }
    }

    /// A row, each as likely as the other, that holds something.
    pub fn any_row(&self, random: &mut Random) -> (u32, u32) {
        let (user, position) = self.place(random.below(self.row_count() as usize) as u32);
        (user, if user < self.shape.agents { position.max(1) } else { position })
    }

    /// A row of a system user, each as likely as the other, that holds something.
    pub fn any_row_of(&self, user: u32, random: &mut Random) -> Row {
        let position = random.below(self.rows_of(user) as usize) as u32;
        self.row_of(user, if user < self.shape.agents { position.max(1) } else { position })
    }

    /// A question about any row, half of them answered yes.
    pub fn question(&self, random: &mut Random) -> Question {
        let (user, position) = self.any_row(random);
        let question = self.question_about(user, self.row_of(user, position), random);
        if question.answer || !random.once_in(4) {
            return question;
        }
        Question { system_user: system_user_id(name::UNKNOWN, user), ..question }
    }

    /// A question about a row of a system user that is there, half of them answered yes.
    pub fn question_about(&self, user: u32, row: Row, random: &mut Random) -> Question {
        let held = row.template.and_then(|template| self.templates.get(template)).map_or(&[][..], |of| &of.held);
        let right = held.get(random.below(held.len().max(1))).copied().unwrap_or(0);
        let yes = Question { system_user: self.system_user_id(user), party: row.party, right, answer: true };
        match random.below(8) {
            0..4 => yes,
            4 | 5 => {
                let right = random.below(RESOURCES * ACTIONS.len());
                Question { right, answer: held.contains(&right), ..yes }
            }
            _ => Question { party: self.stranger(random), answer: false, ..yes },
        }
    }

    /// Where the row is that changes as the next after so many others: ten rows of each of the smallest agents.
    pub fn changing(&self, number: u32) -> (u32, u32) {
        let agent = self.shape.agents - 1 - number / CHANGED_ROWS_OF_ONE % self.shape.agents;
        (agent, 1 + number % CHANGED_ROWS_OF_ONE)
    }

    /// From now on the first so many of [`Self::changing`] hold something else.
    pub fn change(&mut self, rows: u32) {
        self.changed = rows;
    }

    /// A system user as documents have it.
    pub fn system_user(&self, user: u32) -> Result<SystemUserDocument, IdError> {
        let delegation = |row: Row| {
            let template = self.templates.get(row.template?)?;
            let (rights, access_packages) = (template.rights.clone(), template.packages.clone());
            Some(DelegationDocument { party: row.party, rights, access_packages })
        };
        let is_agent = user < self.shape.agents;
        Ok(SystemUserDocument {
            id: self.system_user_id(user),
            owner: self.owner(user),
            system: system_id(self.system(user))?,
            kind: if is_agent { SystemUserKind::Agent } else { SystemUserKind::Standard },
            delegations: self.rows(user).filter_map(delegation).collect(),
        })
    }

    /// An organisation that is no one's client, numbered among those that are.
    pub fn stranger(&self, random: &mut Random) -> OrganizationNumber {
        let number = PARTIES_FROM + random.below(PARTIES) as u32 * PARTIES_STEP + PARTIES_STEP / 2;
        organization(number).unwrap_or(self.first)
    }

    fn is_changed(&self, user: u32, position: u32) -> bool {
        let before =
            self.shape.agents.checked_sub(user + 1).map(|agents| u64::from(agents * CHANGED_ROWS_OF_ONE + position));
        let own = (1..=CHANGED_ROWS_OF_ONE).contains(&position);
        own && before.is_some_and(|number| number <= u64::from(self.changed))
    }

    fn owner_position(&self, user: u32) -> u64 {
        share(drawn(name::OWNER, user.into()), PARTIES) as u64
    }
}

/// The id of a system.
pub fn system_id(system: usize) -> Result<SystemId, IdError> {
    SystemId::parse(&format!("{}_system{system:03}", vendor(system)))
}

/// Who offers a system.
pub fn vendor(system: usize) -> String {
    organization(79_000_000 + system as u32 * PARTIES_STEP).map_or_else(String::new, |number| number.to_string())
}

/// The Maskinporten client of a system.
pub fn client_id(system: usize) -> String {
    system_user_id(name::SYSTEM, system as u32).to_string()
}

/// The id of a resource; ids sort by position.
pub fn resource_id(resource: usize) -> String {
    format!("generated-{resource:03}")
}

/// The name of an access package, without what goes before it.
pub fn package_name(package: usize) -> String {
    format!("generated-package-{package:02}")
}

/// Every access package with the rights it gives.
pub fn packages() -> impl Iterator<Item = (String, BTreeSet<usize>)> {
    (0..PACKAGES).map(|package| (package_name(package), rights_of_package(package)))
}

/// One to six resources, to read all of them and to write some.
fn rights_of_package(package: usize) -> BTreeSet<usize> {
    let mut random = Random::new(drawn(name::PACKAGE, package as u64));
    let mut rights = BTreeSet::new();
    for _ in 0..=random.below(6) {
        let resource = random.below(RESOURCES);
        rights.insert(resource * ACTIONS.len());
        if random.once_in(2) {
            rights.insert(resource * ACTIONS.len() + 1);
        }
    }
    rights
}

fn template(position: usize) -> Result<Template, IdError> {
    let mut random = Random::new(drawn(name::CONTENTS, position as u64));
    let (mut packages, mut rights, mut held) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for _ in 0..=random.below(4) {
        let package = random.below(PACKAGES);
        packages.insert(AccessPackage::from_name(&package_name(package))?);
        held.extend(rights_of_package(package));
    }
    if random.once_in(3) {
        for _ in 0..=random.below(3) {
            let right = random.below(RESOURCES * ACTIONS.len());
            rights.insert(right_at(right)?);
            held.insert(right);
        }
    }
    Ok(Template { packages, rights, held: held.into_iter().collect() })
}

/// The right at a position.
pub fn right_at(position: usize) -> Result<Right, IdError> {
    let action = ACTIONS.get(position % ACTIONS.len()).copied().unwrap_or("");
    Ok(Right { resource: resource_id(position / ACTIONS.len()).parse()?, action: action.parse()? })
}

fn system_user_id(name: u64, user: u32) -> SystemUserId {
    let (high, low) = (drawn(name, u64::from(user) * 2), drawn(name, u64::from(user) * 2 + 1));
    let bytes = Uuid::from_u64_pair(high, low).into_bytes();
    SystemUserId::from_uuid(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// The organisation with these first eight digits, or the next ones that have a check digit.
fn organization(first_eight: u32) -> Option<OrganizationNumber> {
    (first_eight..first_eight + 3).find_map(|digits| {
        let (mut sum, mut rest) = (0, digits);
        for weight in [2, 3, 4, 5, 6, 7, 2, 3] {
            sum += rest % 10 * weight;
            rest /= 10;
        }
        OrganizationNumber::from_u32(digits * 10 + (11 - sum % 11) % 11 % 10)
    })
}

/// Where the rows of each agent begin. The one at rank r has about r^-¾ of what the first would have without a limit.
fn starts(shape: Shape) -> Vec<u32> {
    let standard = shape.system_users - shape.agents;
    let wanted = u64::from(shape.rows.saturating_sub(standard));
    let weight = |rank: u32| {
        let rank = u64::from(rank) + 1;
        (1_u64 << 40) / (rank * rank.isqrt()).isqrt()
    };
    let rows = |rank: u32, scale: u64| {
        let rows = (u128::from(weight(rank)) * u128::from(scale)) >> 40;
        rows.clamp(ROWS_OF_AGENT_MIN.into(), ROWS_OF_AGENT_MAX.into()) as u32
    };
    let total = |scale: u64| (0..shape.agents).map(|rank| u64::from(rows(rank, scale))).sum::<u64>();
    let (mut low, mut high) = (0, wanted.max(1));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if total(middle) <= wanted {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    let mut left = wanted.saturating_sub(total(low));
    let mut starts = vec![0];
    let mut next = 0;
    for rank in 0..shape.agents {
        let rows = rows(rank, low);
        let more = left.div_ceil(u64::from(shape.agents - rank)).min(u64::from(ROWS_OF_AGENT_MAX - rows));
        left -= more;
        next += rows + more as u32;
        starts.push(next);
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: Shape) -> World {
        let world = World::new(shape).unwrap();
        assert_eq!(world.row_count(), shape.rows, "{shape:?}");
        let counted: u64 = (0..shape.system_users).map(|user| u64::from(world.rows_of(user))).sum();
        assert_eq!(counted, u64::from(shape.rows));
        world
    }

    #[test]
    fn a_world_has_as_many_rows_as_asked_for() {
        for rows in [1_000, 100_000] {
            check(Shape::of_rows(rows));
        }
        let largest = World::new(Shape::new(300_000, 10_000_000)).unwrap();
        assert_eq!((largest.row_count(), largest.rows_of(0)), (10_000_000, ROWS_OF_AGENT_MAX));
        assert_eq!(largest.rows_of(299_999), 1);
        let middle = largest.rows_of(15_000);
        assert!((20..1_000).contains(&middle), "{middle}");
    }

    #[test]
    fn rows_are_found_by_number_and_parties_are_there_once() {
        let world = check(Shape::of_rows(100_000));
        let mut row = 0;
        for user in 0..world.shape().system_users {
            let mut seen = BTreeSet::new();
            for (position, found) in (0..).zip(world.rows(user)) {
                assert_eq!(world.place(row), (user, position));
                assert!(seen.insert(found.party));
                row += 1;
            }
        }
        assert_eq!(row, 100_000);
    }

    #[test]
    fn the_same_shape_is_the_same_world() {
        let world = World::new(Shape::of_rows(1_000)).unwrap();
        assert_eq!(world.system_user_id(7).to_string(), "8dbd341c-a7bf-451c-9079-42417876970a");
        assert_eq!(world.row_of(0, 5).party.to_string(), "902285091");
        let mut random = Random::new(3);
        let yes = (0..1_000).filter(|_| world.question(&mut random).answer).count();
        assert!((450..600).contains(&yes), "{yes}");
    }

    #[test]
    fn rights_differ_as_they_do_in_life() {
        let world = World::new(Shape::of_rows(100_000)).unwrap();
        let mut random = Random::new(1);
        let rows = (0..50_000).map(|_| world.any_row(&mut random));
        let sets: BTreeSet<&[usize]> = rows
            .filter_map(|(user, at)| Some(world.templates()[world.row_of(user, at).template?].held.as_slice()))
            .collect();
        assert!((1_000..4_000).contains(&sets.len()), "{}", sets.len());
        let held: usize = world.templates().iter().map(|template| template.held.len()).sum();
        assert!((4..20).contains(&(held / world.templates().len())));
    }
}

//! Who gets which answer: every operation of the description, called by every kind of caller, against
//! `tests/access_table.txt`.
//!
//! The operations are those of the description, so that a new one has no row until it is looked at; how each is called is in
//! [`calls`], who calls in [`callers`], what is there to be called in [`world`]. A wrong answer here is a hole or a locked
//! door: read the difference before renewing the file (`RENEW_GOLDEN=1 cargo test -p control-plane access_table`).

pub(crate) mod callers;
pub(crate) mod calls;
pub(crate) mod world;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::openapi;
use crate::openapi::tests::operations;
use crate::test_state::Answer;
use callers::Caller;
use calls::Call;
use world::World;

const GOLDEN: &str = "tests/access_table.txt";
/// Characters of a line.
const LINE_CHARS: usize = 120;
/// Codes of answers that say something about the token. The last but one is Altinn's status for a foreign vendor's request.
const ABOUT_THE_TOKEN: [&str; 5] =
    ["token_missing", "token_invalid", "credential_invalid", "vendor_not_owner_of_requested", "AUTH-00023"];
/// What nobody succeeds in without a browser and a login provider behind it.
const NOT_FOR_CALLERS: [&str; 2] =
    ["GET /authentication/api/v1/authentication", "GET /authentication/api/v1/authentication/callback"];

/// An operation's answers: each with those who get it.
struct Row {
    operation: String,
    answers: Vec<(String, Vec<&'static str>)>,
}

#[tokio::test]
async fn every_operation_answers_every_kind_of_caller_as_the_table_says() {
    let mut world = World::new().await;
    let callers = callers::all(&world).await;
    let mut rows = Vec::new();
    for (operation, described) in operations(&openapi::document()) {
        let call = calls::of(&operation, &world.ids);
        let row = answers(&mut world, &callers, &operation, &call).await;
        require_sense(&row, described["security"] == serde_json::json!([]));
        rows.push(row);
    }
    compare(&text(&callers, &rows));
}

/// An operation, how it is called, and somebody who succeeds.
pub(crate) struct Allowed {
    pub(crate) operation: String,
    pub(crate) call: Call,
    pub(crate) caller: Caller,
}

/// Every operation that somebody succeeds in, by the table.
pub(crate) async fn allowed(world: &World) -> Vec<Allowed> {
    let golden = std::fs::read_to_string(golden()).unwrap();
    let callers = callers::all(world).await;
    let mut allowed = Vec::new();
    for (operation, _) in operations(&openapi::document()) {
        let row = golden.split("\n\n").find_map(|row| row.strip_prefix(operation.as_str())?.strip_prefix('\n'));
        let who = row.and_then(|row| row.strip_prefix("    2")?.split_once(": ")?.1.split([';', '\n']).next());
        let named = |caller: &&Caller| who == Some("everybody") || who == Some(caller.name);
        if let Some(caller) = callers.iter().find(named).cloned() {
            allowed.push(Allowed { call: calls::of(&operation, &world.ids), operation, caller });
        }
    }
    allowed
}

/// Everybody calls; whoever is refused has changed nothing.
async fn answers(world: &mut World, callers: &[Caller], operation: &str, call: &Call) -> Row {
    let mut row = Row { operation: operation.to_owned(), answers: Vec::new() };
    let mut done: Option<String> = None;
    for caller in callers {
        let (mut told, mut is_changed) = once(world, caller, operation, call).await;
        // After somebody's change whoever may not is refused as before, and whoever may perhaps for what was done.
        if done.as_ref().is_some_and(|done| *done != told) && !told.starts_with("401") && !told.starts_with("403") {
            world.renew().await;
            done = None;
            (told, is_changed) = once(world, caller, operation, call).await;
        }
        if is_changed {
            done = Some(told.clone());
        }
        match row.answers.iter_mut().find(|(known, _)| *known == told) {
            Some((_, names)) => names.push(caller.name),
            None => row.answers.push((told, vec![caller.name])),
        }
    }
    if done.is_some() {
        world.renew().await;
    }
    row.answers.sort();
    row
}

/// The answer to one call, and whether something is stored since.
async fn once(world: &World, caller: &Caller, operation: &str, call: &Call) -> (String, bool) {
    let store = &world.test.state.store;
    let before = store.revision().await.unwrap();
    let answer = caller.call(&world.test, call).await;
    let is_changed = store.revision().await.unwrap() != before;
    assert!(answer.status < 400 || !is_changed, "{operation}, {}: {answer:?}, and something is stored", caller.name);
    (told(&answer), is_changed)
}

/// Status, and the code of a refusal.
fn told(answer: &Answer) -> String {
    match (answer.status, answer.json["code"].as_str()) {
        (status, _) if status < 400 => status.to_string(),
        (status, Some(code)) => format!("{status} {code}"),
        (status, None) => format!("{status} without a code"),
    }
}

/// What holds of every operation.
fn require_sense(row: &Row, is_open: bool) {
    let operation = &row.operation;
    let of = |name: &str| row.answers.iter().find(|(_, names)| names.contains(&name)).map(|(told, _)| told.as_str());
    for (told, names) in &row.answers {
        assert!(!told.starts_with('5'), "{operation}: {told} for {names:?}");
        if let Some(code) = told.strip_prefix("401 ") {
            assert!(ABOUT_THE_TOKEN.contains(&code), "{operation}: {told} says nothing of a token");
        }
    }
    let is_without_token = ["GET /authentication/api/v1/exchange/{exchangeProvider}"].contains(&operation.as_str());
    for name in ["nobody", "broken token", "expired token", "foreign issuer"] {
        let is_refused = of(name).is_some_and(|told| told.starts_with("401 "));
        assert_eq!(is_refused, !is_open || is_without_token, "{operation}: {name} gets {:?}", of(name));
    }
    let succeeds = row.answers.iter().any(|(told, _)| told.starts_with(['2', '3']));
    assert_eq!(succeeds, !NOT_FOR_CALLERS.contains(&operation.as_str()), "{operation}: {:?}", row.answers);
}

fn text(callers: &[Caller], rows: &[Row]) -> String {
    let mut text = String::from(
        "# Every operation, and what each kind of caller is answered: status, code, callers.\n\
         # Made by the test in src/access_table.rs, which also says how to renew it.\n#\n",
    );
    for caller in callers {
        writeln!(text, "# {:<34} {}", caller.name, caller.description).unwrap();
    }
    for row in rows {
        writeln!(text, "\n{}", row.operation).unwrap();
        for (told, names) in &row.answers {
            let names = if names.len() == callers.len() { vec!["everybody"] } else { names.clone() };
            write_wrapped(&mut text, told, &names);
        }
    }
    text
}

fn write_wrapped(text: &mut String, told: &str, names: &[&str]) {
    let mut line = format!("    {told}:");
    for (position, name) in names.iter().enumerate() {
        let name = if position + 1 == names.len() { (*name).to_owned() } else { format!("{name};") };
        if line.len() + name.len() + 1 > LINE_CHARS {
            writeln!(text, "{line}").unwrap();
            line = " ".repeat(7);
        }
        line.push(' ');
        line.push_str(&name);
    }
    writeln!(text, "{line}").unwrap();
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN)
}

fn compare(text: &str) {
    let file = golden();
    if std::env::var_os("RENEW_GOLDEN").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = |(left, right): &(&str, &str)| left != right;
    if let Some(position) = text.lines().zip(golden.lines()).position(|lines| differs(&lines)) {
        let around = |text: &str| text.lines().skip(position.saturating_sub(6)).take(9).collect::<Vec<_>>().join("\n");
        panic!("{GOLDEN} line {}:\n{}\n\nis now:\n{}", position + 1, around(&golden), around(text));
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "{GOLDEN}: operations at its end");
}

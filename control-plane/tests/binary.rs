//! The program itself: configuration, address file, `kill -9` and restart, stopping on SIGTERM.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside the test functions")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_control-plane");

fn configuration(folder: &Path, more: &str) -> PathBuf {
    let file = folder.join("portvakt.toml");
    let database = folder.join("portvakt.db");
    std::fs::write(&file, format!("listen = \"127.0.0.1:0\"\ndatabase = {database:?}\n{more}")).unwrap();
    file
}

fn run(command: &str, configuration: &Path) -> Output {
    Command::new(PROGRAM).args([command, "--config"]).arg(configuration).output().unwrap()
}

/// A running program, killed when the test ends.
struct Program {
    child: Child,
    base_url: String,
}

impl Program {
    fn start(configuration: &Path) -> Self {
        let address_file = configuration.with_file_name("address.txt");
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--config"]).arg(configuration).arg("--address-file").arg(&address_file);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = log.by_ref().map(Result::unwrap).find(|line| line.contains("listening"));
        assert!(listening.is_some(), "the program ended");
        // The pipe is read to its end, or the program would stop at a full one.
        std::thread::spawn(move || log.for_each(drop));
        Self { child, base_url: std::fs::read_to_string(address_file).unwrap() }
    }

    fn get(&self, path: &str) -> String {
        let address = self.base_url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn it_serves_and_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = configuration(folder.path(), "");
    let pinned = run("public-key", &configuration);
    assert!(pinned.status.success());
    let pem = String::from_utf8(pinned.stdout).unwrap();

    let first = Program::start(&configuration);
    assert!(first.get("/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
    let keys = first.get("/portvakt/v1/snapshot-keys");
    assert!(keys.contains(&pem.replace('\n', "\\n")), "{keys}");
    drop(first); // kill -9

    let second = Program::start(&configuration);
    assert!(second.get("/portvakt/v1/snapshot-keys").contains(&pem.replace('\n', "\\n")));
}

#[test]
fn it_stops_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(&configuration(folder.path(), ""));
    let terminated = Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().unwrap();
    assert!(terminated.success());
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn a_wrong_configuration_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (more, named) in [
        ("databse = \"x\"\n", "databse"),
        ("operators = [\"310247007\"]\n", "check digit"),
        ("signing_key = \"/nowhere/key.pem\"\n", "/nowhere/key.pem"),
        ("listen", "TOML"),
    ] {
        let output = run("serve", &configuration(folder.path(), more));
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && log.contains(named), "{more}: {log}");
    }
    let missing = run("serve", &folder.path().join("missing.toml"));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("missing.toml"));
    let output = Command::new(PROGRAM)
        .args(["public-key", "--config"])
        .arg(configuration(folder.path(), ""))
        .env("PORTVAKT_OPERATOR", "310247006")
        .output()
        .unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("operator"));
}

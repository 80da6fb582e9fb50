//! Child processes: started with a log file, found through an address file, killed by their own id when dropped.
//!
//! Nothing here ends a process it did not start.

use std::fs::{self, File};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::wait;

const LOG_LINES_SHOWN: usize = 25;

/// A running program of ours (or Envoy); it is killed when the value is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with its output appended to `<name>.log` in `directory`.
    pub fn start(name: &str, mut command: Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("could not write {}", log.display()))?;
        let errors = output.try_clone().context("could not share the log file")?;
        let child = command
            .stdin(Stdio::null())
            // Logs are files here; colours would only be noise in them.
            .env("NO_COLOR", "1")
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("could not start {}", command.get_program().display()))?;
        Ok(Self { name: name.into(), child, log })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The end of the log, for messages about a process that did not do what it should.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_LINES_SHOWN)..).unwrap_or_default();
        tail.join("\n")
    }

    /// `kill -9`: no chance to finish anything. The process is gone when this returns.
    pub fn kill(mut self) -> Result<()> {
        self.end().with_context(|| format!("could not kill {}", self.name))
    }

    /// Fails when the process has ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("could not ask for the child")? {
            bail!("{} ended with {status}", self.name);
        }
        Ok(())
    }

    /// The error with the end of this process's log.
    pub fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow!("{error:#}; the end of {}:\n{}", self.log.display(), self.log_tail())
    }

    /// Waits until the process has written its base address to `file`.
    pub async fn base_url(&mut self, file: &Path, bound: Duration) -> Result<String> {
        let what = format!("the address of {}", self.name);
        let written = wait::until(&what, bound, async || {
            self.check_alive()?;
            Ok(fs::read_to_string(file).ok().filter(|text| !text.trim().is_empty()))
        });
        let text = written.await.map_err(|error| self.explain(&error))?;
        Ok(text.trim().trim_end_matches('/').to_owned())
    }

    fn end(&mut self) -> std::io::Result<()> {
        if self.child.try_wait()?.is_none() {
            self.child.kill()?;
        }
        self.child.wait().map(|_status| ())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!("{} (process {}) may still run: {error}", self.name, self.child.id());
        }
    }
}

/// Writes a base address so that a reader sees either nothing or all of it.
pub fn write_address_file(file: &Path, base_url: &str) -> Result<()> {
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, base_url).with_context(|| format!("could not write {}", unfinished.display()))?;
    fs::rename(&unfinished, file).with_context(|| format!("could not write {}", file.display()))
}

/// Logs go to stderr, so that stdout stays for what the program has to say. `RUST_LOG` chooses what is logged.
pub fn log_to_stderr() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// One line instead of a backtrace for whoever started the program.
pub fn report(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns when the process is told to stop: Ctrl-C or SIGTERM.
pub async fn told_to_stop() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn the_address_is_read_once_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("address");
        let script = format!("echo http://127.0.0.1:1/ > {}; exec sleep 60", file.display());
        let mut process = Process::start("it", shell(&script), directory.path()).unwrap();
        let url = process.base_url(&file, Duration::from_secs(20)).await.unwrap();
        assert_eq!(url, "http://127.0.0.1:1");
        let status = PathBuf::from(format!("/proc/{}", process.id()));
        process.kill().unwrap();
        assert!(!status.exists());
    }

    #[tokio::test]
    async fn a_process_that_ended_is_reported_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Process::start("it", shell("echo no such luck >&2; exit 3"), directory.path()).unwrap();
        let missing = directory.path().join("never");
        let error = process.base_url(&missing, Duration::from_secs(20)).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("no such luck") && text.contains('3'), "{text}");
    }
}

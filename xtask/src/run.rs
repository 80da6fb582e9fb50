//! Starting other programs so that a person sees what goes on, and so that nothing of the cargo that started us leaks in.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// The folder that holds the workspace's Cargo.toml.
pub(crate) fn project_root() -> PathBuf {
    let own_folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let own_folder = PathBuf::from(own_folder);
    own_folder.parent().map(Path::to_owned).unwrap_or(own_folder)
}

/// Announces a step on standard error, where the output of long steps goes too.
pub(crate) fn step(text: &str) {
    if colors() {
        eprintln!("\x1b[1;36m==>\x1b[0m \x1b[1m{text}\x1b[0m");
    } else {
        eprintln!("==> {text}");
    }
}

/// Whether standard error is a terminal whose owner did not ask for plain text (<https://no-color.org>).
pub(crate) fn colors() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The cargo that started us (rustup's or a distribution's), for native builds in the project's folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_outer_package(&mut command);
    command.current_dir(project_root());
    command
}

/// `rustc` as [`cargo`] would find it.
pub(crate) fn native_rustc() -> PathBuf {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()).into()
}

/// Removes what `cargo run` sets for xtask itself; build scripts that watch these variables would run again each time.
pub(crate) fn forget_outer_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let packages = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if packages.iter().any(|start| text.starts_with(start)) || text == "CARGO_PRIMARY_PACKAGE" {
            command.env_remove(&name);
        }
    }
    command.env_remove("OUT_DIR").env_remove("LD_LIBRARY_PATH");
}

/// Removes every trace of the toolchain that started us, so that another one can be named.
pub(crate) fn forget_toolchain(command: &mut Command) {
    forget_outer_package(command);
    for name in [
        "CARGO",
        "CARGO_BUILD_RUSTC",
        "CARGO_BUILD_RUSTC_WRAPPER",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ] {
        command.env_remove(name);
    }
}

/// Runs to the end with all output on standard error; an error when it does not succeed.
pub(crate) fn loudly(command: &mut Command) -> Result<()> {
    let name = program_name(command);
    command.stdin(Stdio::null()).stdout(to_standard_error());
    let status = command.status().with_context(|| format!("`{name}` could not be started"))?;
    if !status.success() {
        bail!("`{name}` ended with {}", exit_words(status));
    }
    Ok(())
}

/// Runs to the end and returns standard output; standard error stays visible.
pub(crate) fn reading(command: &mut Command) -> Result<(ExitStatus, String)> {
    let name = program_name(command);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("`{name}` could not be started"))?;
    Ok((output.status, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Runs to the end, shows every line as it comes and keeps both streams: (standard output, standard error).
pub(crate) fn showing(command: &mut Command) -> Result<(ExitStatus, String, String)> {
    let name = program_name(command);
    if colors() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("`{name}` could not be started"))?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let (output, errors) = std::thread::scope(|scope| {
        let output = scope.spawn(|| output.map(|stream| copy(stream, std::io::stdout())));
        let errors = errors.map(|stream| copy(stream, std::io::stderr()));
        (output.join().ok().flatten(), errors)
    });
    let status = child.wait().with_context(|| format!("`{name}` was lost"))?;
    Ok((status, output.unwrap_or_default(), errors.unwrap_or_default()))
}

/// For a child whose standard output is for people only.
pub(crate) fn to_standard_error() -> Stdio {
    std::io::stderr().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::inherit(), Stdio::from)
}

/// `exit code 101`, `signal 9`.
pub(crate) fn exit_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

/// `8.4 s`, `2 min 05 s`.
pub(crate) fn duration_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

fn copy(from: impl Read, mut to: impl Write) -> String {
    let mut kept = String::new();
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A closed pipe on our side must not stop the child: keep reading.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        kept.push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
    kept
}

fn program_name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str())];
    words.extend(command.get_args().take(2));
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_are_kept_and_the_exit_code_is_told() {
        let mut command = Command::new("sh");
        let (status, output, errors) = showing(command.args(["-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert_eq!((output.as_str(), errors.as_str(), exit_words(status).as_str()), ("out\n", "err\n", "exit code 3"));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = loudly(&mut Command::new("/nowhere/portvakt-no-such-program")).unwrap_err();
        assert!(error.to_string().contains("portvakt-no-such-program"), "{error}");
    }

    #[test]
    fn durations_read_like_a_person_says_them() {
        assert_eq!(duration_words(Duration::from_millis(8_420)), "8.4 s");
        assert_eq!(duration_words(Duration::from_secs(125)), "2 min 05 s");
    }
}

//! The machine as the look-ups see it: variables, files, and what programs answer about themselves.
//!
//! Looking never changes anything: no program is asked to do more than name its version or its folders, and rustup is
//! told not to install. A test stands in a machine of its own (`FakeMachine` below).

use crate::run;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a look-up may ask.
pub(crate) trait Machine {
    /// An environment variable that is set and not empty.
    fn variable(&self, name: &str) -> Option<String>;
    fn is_file(&self, path: &Path) -> bool;
    /// The names in a folder, sorted; none when it cannot be read.
    fn names_in(&self, folder: &Path) -> Vec<String>;
    /// The path without links; itself when it cannot be resolved.
    fn real_path(&self, path: &Path) -> PathBuf;
    /// What a program prints on standard output, if it exits with 0.
    fn answer(&self, program: &Path, arguments: &[&str]) -> Option<String>;
}

/// The folders of PATH, in order, each once (`/bin` is `/usr/bin` on many systems).
pub(crate) fn path_folders(machine: &dyn Machine) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let path = machine.variable("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute() && seen.insert(machine.real_path(folder)))
        .collect()
}

/// The first program of that name on PATH.
pub(crate) fn find_program(machine: &dyn Machine, name: &str) -> Option<PathBuf> {
    path_folders(machine).into_iter().map(|folder| folder.join(name)).find(|program| machine.is_file(program))
}

/// The machine we run on.
pub(crate) struct ThisMachine;

impl Machine for ThisMachine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn names_in(&self, folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names: BTreeSet<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.into_iter().collect()
    }

    fn real_path(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }

    fn answer(&self, program: &Path, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(program);
        run::forget_toolchain(&mut command);
        command.args(arguments).current_dir(run::project_root()).env("RUSTUP_AUTO_INSTALL", "0");
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[cfg(test)]
pub(crate) mod fake {
    use super::*;
    use std::collections::BTreeMap;

    /// A machine made of what a test says it has.
    #[derive(Default)]
    pub(crate) struct FakeMachine {
        variables: BTreeMap<String, String>,
        files: BTreeSet<PathBuf>,
        answers: BTreeMap<String, String>,
    }

    impl FakeMachine {
        pub(crate) fn with_path(path: &str) -> Self {
            Self::default().variable("PATH", path)
        }

        pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
            self.variables.insert(name.into(), value.into());
            self
        }

        pub(crate) fn file(mut self, path: &str) -> Self {
            self.files.insert(path.into());
            self
        }

        /// A program (a file, too) that answers `call`, e.g. `/usr/bin/rustc --version`.
        pub(crate) fn answers(mut self, call: &str, answer: &str) -> Self {
            self.files.extend(call.split(' ').next().map(PathBuf::from));
            self.answers.insert(call.into(), answer.into());
            self
        }
    }

    impl Machine for FakeMachine {
        fn variable(&self, name: &str) -> Option<String> {
            self.variables.get(name).cloned()
        }

        fn is_file(&self, path: &Path) -> bool {
            self.files.contains(path)
        }

        fn names_in(&self, folder: &Path) -> Vec<String> {
            let below = self.files.iter().filter_map(|file| file.strip_prefix(folder).ok());
            let names: BTreeSet<_> = below.filter_map(|rest| rest.iter().next()?.to_str()).collect();
            names.into_iter().map(str::to_owned).collect()
        }

        fn real_path(&self, path: &Path) -> PathBuf {
            if path == Path::new("/bin") { PathBuf::from("/usr/bin") } else { path.to_owned() }
        }

        fn answer(&self, program: &Path, arguments: &[&str]) -> Option<String> {
            let call =
                std::iter::once(program.to_str()?).chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ");
            self.answers.get(&call).cloned()
        }
    }

    #[test]
    fn a_folder_linked_twice_is_looked_at_once() {
        let machine = FakeMachine::with_path("/usr/bin:/bin:relative:/opt/bin");
        assert_eq!(path_folders(&machine), [PathBuf::from("/usr/bin"), PathBuf::from("/opt/bin")]);
    }
}

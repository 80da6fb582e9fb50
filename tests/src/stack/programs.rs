//! Where the programs of the stack are.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// The programs, and the module that Envoy loads.
#[derive(Debug, Clone)]
pub struct Programs {
    pub filter_wasm: PathBuf,
    pub envoy: PathBuf,
    pub control_plane: PathBuf,
    pub standin: PathBuf,
}

impl Programs {
    /// As `cargo xtask test` hands them to the tests.
    pub fn from_environment() -> Result<Self> {
        Self {
            filter_wasm: named("FILTER_WASM_PATH")?,
            envoy: named("ENVOY_BIN")?,
            control_plane: named("CONTROL_PLANE_BIN")?,
            standin: named("MASKINPORTEN_STANDIN_BIN")?,
        }
        .checked()
    }

    /// The servers alone, for tests without a gateway; the other programs are nowhere.
    pub fn servers_from_environment() -> Result<Self> {
        Ok(Self {
            filter_wasm: PathBuf::new(),
            envoy: PathBuf::new(),
            control_plane: named("CONTROL_PLANE_BIN")?,
            standin: named("MASKINPORTEN_STANDIN_BIN")?,
        })
    }

    /// Fails early, and with the path, when one of them is not there.
    pub fn checked(self) -> Result<Self> {
        for file in [&self.filter_wasm, &self.envoy, &self.control_plane, &self.standin] {
            ensure!(file.is_file(), "there is no file {}", file.display());
        }
        Ok(self)
    }
}

fn named(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).with_context(|| {
        format!("{variable} is not set: run this through `cargo xtask test`, which builds and names it")
    })?;
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_cure() {
        let error = named("PORTVAKT_TEST_NEVER_SET").unwrap_err().to_string();
        assert!(error.contains("PORTVAKT_TEST_NEVER_SET") && error.contains("cargo xtask test"), "{error}");
        let nowhere = || PathBuf::from("/nowhere/envoy");
        let programs =
            Programs { filter_wasm: nowhere(), envoy: nowhere(), control_plane: nowhere(), standin: nowhere() };
        assert_eq!(programs.checked().unwrap_err().to_string(), "there is no file /nowhere/envoy");
    }
}

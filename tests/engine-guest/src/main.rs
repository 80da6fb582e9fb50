//! The program that `cargo xtask bench engine` runs in WebAssembly; requests come on standard input.

use std::io::{stdin, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    match engine_guest::session::serve(&mut stdin().lock(), &mut stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

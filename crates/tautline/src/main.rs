//! The `tautline` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tautline::cli::run()
}

//! The program: runs the command line, prints an error as one line and a hint, leaves with the contract's exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tandem::cli::main()
}

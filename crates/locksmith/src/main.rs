//! `locksmithctl`, and `locksmithd` where it is called so: one program, because a machine has both.
//!
//! Exit codes: 0 done, 1 failed or refused, 2 wrong usage.

use std::env;
use std::process::ExitCode;

use locksmith::flags::Program;
use locksmith::{ctl, daemon};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    match Program::of(arguments.first()) {
        Program::Daemon => daemon::main(arguments),
        Program::Ctl => ctl::main(arguments),
    }
}

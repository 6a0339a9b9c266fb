//! `fleetctl`: starts, moves and shows systemd units across the machines of a cluster.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage; of `status`, `journal` and `ssh` that of the program on the machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    fleet::ctl::main()
}

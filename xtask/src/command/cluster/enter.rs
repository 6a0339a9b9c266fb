//! `cargo xtask cluster ssh`: a shell or a command in one of the machines.

use std::process::ExitCode;

use vm::{Sandbox, Ssh};

use super::place::Place;
use super::state::State;
use crate::command::ssh::enter;

/// Enters a machine and returns the exit code of what ran there.
pub fn run(place: &Place, number: u8, command: &[String]) -> anyhow::Result<ExitCode> {
    let state = State::of_running(place)?;
    let (machine, port) = state.machine_on(number)?;
    enter(&way_in(place, &state, machine.number, port), command)
}

/// Returns the way into a machine that is on.
pub fn way_in(place: &Place, state: &State, number: u8, port: u16) -> Ssh {
    Ssh::new(&Sandbox::new(&state.tools), place.machine(number), port)
}

//! `cargo xtask ssh`: goes into a machine that `cargo xtask run` has started.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use vm::ssh::{Ssh, Tty};
use vm::{Sandbox, home};

use crate::command::run::runs;
use crate::ctx::Ctx;
use crate::flags;

/// Opens a shell or runs a command, and returns the command's own exit code.
pub fn run(ctx: &Ctx, args: &flags::Ssh) -> anyhow::Result<ExitCode> {
    let mut running = home::running(&runs(ctx));
    if let Some(name) = &args.vm {
        running.retain(|(dir, _)| dir.file_name().is_some_and(|found| found == name.as_str()));
    }
    let (dir, state) = match running.as_slice() {
        [one] => one,
        [] => bail!("no machine is running: start one with `cargo xtask run`"),
        several => {
            let names: Vec<_> = several.iter().filter_map(|(dir, _)| dir.file_name()?.to_str()).collect();
            bail!("several machines are running: choose one with `--vm NAME` ({})", names.join(", "));
        }
    };
    enter(&Ssh::new(&Sandbox::new(&state.tools), dir, state.ssh_port), &args.command)
}

/// Opens a shell, or runs a command if there is one, and returns its exit code.
pub fn enter(way_in: &Ssh, line: &[String]) -> anyhow::Result<ExitCode> {
    let shell = line.is_empty();
    let tty = if shell && std::io::stdin().is_terminal() { Tty::Wanted } else { Tty::Unwanted };
    let mut command = way_in.interactive(tty);
    if !shell {
        // As ssh itself does: the words are joined, and the guest's shell splits them again.
        command.arg("--").args(line);
    }
    let status = command.status().context("starting ssh")?;
    // No code means that a signal ended it.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

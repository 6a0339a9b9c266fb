//! Asks for the device's name: who types it has read it.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::ctx::Ctx;

/// How often it is looked whether the user wants to stop.
const TICK: Duration = Duration::from_millis(100);

/// Goes on when the name was typed.
pub fn ask(ctx: &Ctx, name: &str) -> anyhow::Result<()> {
    ensure!(
        io::stdin().is_terminal(),
        "nobody can be asked here, because the standard input is no terminal: say --yes; nothing was written"
    );
    ctx.log.line(&format!("All that is on it will be lost. Type `{name}` to go on:"));
    // Reading goes on after a signal, so another thread waits for the line; it ends with the process.
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line).map(|_| line);
        // Nobody listens after an interruption.
        sender.send(read).ok();
    });
    loop {
        ensure!(!ctx.cancel.is_set(), "interrupted; nothing was written");
        match receiver.recv_timeout(TICK) {
            Ok(line) => return judge(&line.context("reading the answer")?, name),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => bail!("no answer; nothing was written"),
        }
    }
}

fn judge(line: &str, name: &str) -> anyhow::Result<()> {
    ensure!(line.trim() == name, "that is not `{name}`; nothing was written");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_itself_goes_on() {
        judge("sdb\n", "sdb").unwrap();
        for wrong in ["", "\n", "y\n", "yes\n", "sda\n", "sdb1\n", "/dev/sdb\n", "SDB\n"] {
            let refused = judge(wrong, "sdb").unwrap_err().to_string();
            assert_eq!(refused, "that is not `sdb`; nothing was written");
        }
    }
}

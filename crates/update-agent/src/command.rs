//! The commands, one file each; `Exit` is what the program ends with.

pub mod blessed;
pub mod check;
pub mod hold;
pub mod print;
pub mod refuse;
pub mod reset;
pub mod rollback;
pub mod run;
pub mod status;
pub mod watch;

use agent_support::host::Host;

use crate::reboot;
use crate::state;
use print::Format;

/// How a command ended, when it is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// No, where a command was a question.
    No,
}

/// `slipway-update reboot-wanted`: which version waits for a reboot that nothing speaks against, or why none does.
pub fn reboot_wanted(host: &Host) -> anyhow::Result<Exit> {
    match reboot::is_wanted(reboot::waiting(host)?, &state::load(host)?) {
        Ok(version) => {
            print::line(&version.to_string())?;
            Ok(Exit::Done)
        }
        Err(why) => {
            print::line(&why.to_string())?;
            Ok(Exit::No)
        }
    }
}

/// `slipway-update history`: what happened.
pub fn history(host: &Host, format: Format) -> anyhow::Result<Exit> {
    let events = crate::history::load(host)?;
    print::value(&events, format, |events| {
        let line = |event: &crate::history::Event| {
            let words = [event.what.as_str(), &event.version, &event.text];
            let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
            format!("{}  {}\n", print::time(event.time), words.join("  "))
        };
        events.iter().map(line).collect()
    })?;
    Ok(Exit::Done)
}

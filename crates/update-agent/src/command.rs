//! The commands, one file each; `Exit` is what the program ends with.

pub mod blessed;
pub mod check;
pub mod hold;
pub mod print;
pub mod reset;
pub mod rollback;
pub mod run;
pub mod status;
pub mod watch;

use agent_support::host::Host;

use crate::reboot;
use crate::settings;
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

/// `slipway-update reboot-wanted`: whether the machine is to reboot now.
pub fn reboot_wanted(host: &Host) -> anyhow::Result<Exit> {
    let (settings, _) = settings::load(host)?;
    match reboot::is_wanted(reboot::waiting(host)?, settings.strategy, &state::load(host)?) {
        Ok(version) => {
            print::line(&format!("version {version} wants a reboot"))?;
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

//! Why a command fails: the line that says so, and the exit code. Lines of the original are kept to the letter.

use std::ffi::OsString;
use std::io;

use locksmith_core::semaphore::Refusal;

use crate::flags::Program;
use crate::identity;
use crate::programs;
use crate::settings;
use crate::store;

const USAGE: u8 = 2;
const FAILED: u8 = 1;

/// Why a command fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is no such command.
    #[error("locksmithctl: unknown subcommand: {0:?}")]
    Unknown(String),
    /// etcd is away, or the settings lead nowhere.
    #[error("Error initializing etcd client: {0}")]
    Client(String),
    /// No slot.
    #[error("Error locking: {0}")]
    Lock(String),
    /// No slot to give back.
    #[error("Error unlocking: {0}")]
    Unlock(String),
    /// The number of slots stays.
    #[error("Error setting value: {0}")]
    SetMax(String),
    /// No number of slots.
    #[error("New maximum value must be set.")]
    NoMax,
    /// Another word.
    #[error("Invalid maximum value: {0}")]
    Max(String),
    /// Nobody else reboots a machine.
    #[error("Must be root to initiate reboot.")]
    NotRoot,
    /// It is not known who this machine is.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// A group knows nothing bad of a version.
    #[error("Error forgiving: {0}")]
    Forgive(String),
    /// A machine said nothing of itself.
    #[error(
        "Error forgetting: machine {0} says nothing of itself; `locksmithctl machines` lists those that do"
    )]
    Unheard(String),
    /// The daemon cannot be asked for a reboot.
    #[error("Error initiating reboot: {0}")]
    Reboot(String),
    /// A program of the machine failed.
    #[error("error: {0}")]
    Program(#[from] programs::Error),
    /// The system refuses what asking takes.
    #[error("error: preparing to ask: {0}")]
    Runtime(io::Error),
    /// Output cannot be written.
    #[error("error: writing output: {0}")]
    Output(io::Error),
}

impl Failure {
    pub(super) fn unknown(words: &[OsString]) -> Self {
        let word = words.first().map(|word| word.to_string_lossy().into_owned());
        Self::Unknown(word.unwrap_or_default())
    }

    pub(super) fn settings(err: settings::Error) -> Self {
        Self::Client(err.to_string())
    }

    /// A read that failed.
    pub(super) fn store(err: store::Error) -> Self {
        Self::Client(err.to_string())
    }

    /// A change that failed: what the semaphore refuses, and a write of which nobody knows whether it was done, is the
    /// command's; anything else is that etcd is away.
    pub(super) fn change(err: store::Error, of: impl Fn(String) -> Self) -> Self {
        let text = err.to_string();
        match err {
            store::Error::Etcd(err) if !err.is_outcome_unknown() => Self::Client(text),
            store::Error::Value { .. } => Self::Client(text),
            store::Error::Etcd(_) | store::Error::Refused(_) | store::Error::Busy => of(text),
        }
    }

    pub(super) fn lock(refusal: &Refusal) -> Self {
        Self::Lock(refusal.to_string())
    }

    /// Returns the exit code.
    pub(super) fn code(&self) -> u8 {
        if matches!(self, Self::Unknown(_)) { USAGE } else { FAILED }
    }

    /// Returns the lines for standard error.
    pub(super) fn lines(&self) -> Vec<String> {
        let hint = matches!(self, Self::Unknown(_))
            .then(|| format!("Run '{} help' for usage.", Program::Ctl.name()));
        std::iter::once(self.to_string()).chain(hint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_scripts_know_are_kept_to_the_letter() {
        let line = |failure: Failure| failure.lines().remove(0);
        assert_eq!(line(Failure::unknown(&["x".into()])), r#"locksmithctl: unknown subcommand: "x""#);
        assert_eq!(line(Failure::lock(&Refusal::Full { available: 0 })), "Error locking: semaphore is at 0");
        let refused = store::Error::Refused(Refusal::NoHolder);
        assert_eq!(line(Failure::change(refused, Failure::Unlock)), "Error unlocking: holder does not exist");
        assert_eq!(line(Failure::Max("x".to_owned())), "Invalid maximum value: x");
        assert_eq!(line(Failure::NoMax), "New maximum value must be set.");
        assert_eq!(line(Failure::NotRoot), "Must be root to initiate reboot.");
        assert_eq!(line(Failure::Identity(identity::Error::NoMachine)), "Cannot read machine-id");
    }

    #[test]
    fn only_an_unknown_command_is_wrong_usage() {
        assert_eq!(Failure::unknown(&[]).code(), 2);
        assert_eq!(Failure::unknown(&[]).lines().len(), 2);
        assert_eq!(Failure::NoMax.code(), 1);
    }

    #[test]
    fn a_write_in_doubt_is_told_from_an_etcd_that_is_away() {
        let away = || etcd_rpc::Error::Unreachable { tried: "e: refused".to_owned() };
        let doubt = etcd_rpc::Error::Interrupted { endpoint: "e".to_owned(), reason: "r".to_owned() };
        assert!(matches!(Failure::change(away().into(), Failure::SetMax), Failure::Client(_)));
        assert!(matches!(Failure::change(doubt.into(), Failure::SetMax), Failure::SetMax(_)));
    }
}

//! Why a command of `fleetctl` fails, the line that says so, and the exit code.
//!
//! Lines that the original printed are kept to the letter, because scripts look for them; all others begin with
//! `error:`.

use std::io;
use std::time::Duration;

use crate::api;
use crate::ctl::connect::ConnectError;
use crate::ctl::endpoint::EndpointError;
use crate::ctl::local::LocalError;
use crate::ctl::ssh::SshError;
use crate::ctl::target::TargetError;

/// Exit code for a wrong command line.
pub const USAGE: u8 = 2;
/// Exit code for everything else that goes wrong.
pub const FAILED: u8 = 1;

/// Why a command fails. Each is printed as it is.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A command about units has none.
    #[error("No units given")]
    NoUnits,
    /// The command line contradicts itself.
    #[error("error: {0}")]
    Usage(String),
    /// `--endpoint` cannot be used.
    #[error("error: {0}")]
    Endpoint(#[from] EndpointError),
    /// `--fields` names a column that there is not.
    #[error("Invalid key in output format: {0:?}")]
    Field(String),
    /// fleetd answers with an error.
    #[error("error: {doing}: {source}")]
    Api {
        /// What was being done.
        doing: String,
        /// What fleetd said.
        source: api::Error,
    },
    /// There is no way to fleetd.
    #[error("error: {0}")]
    Connect(#[from] ConnectError),
    /// A local file or a name cannot be used.
    #[error("error: {0}")]
    Local(#[from] LocalError),
    /// Nobody has the unit.
    #[error("error: creating units: unable to find Unit({0}) in Registry or on filesystem")]
    NowhereFound(String),
    /// A unit that is not placed cannot be stopped.
    #[error("Unable to stop unit {0} in state inactive")]
    NotPlaced(String),
    /// `--replace` by a command that would leave the unit in another state than it is in.
    #[error(
        "error: unit {unit} is {is}: its content is not replaced by a command for units that are {would_be}; use \
         \"fleetctl {command} --replace {unit}\""
    )]
    OtherState {
        /// Unit.
        unit: String,
        /// State that is wanted of it.
        is: &'static str,
        /// State that the command is for.
        would_be: &'static str,
        /// Command for the state as it is.
        command: &'static str,
    },
    /// Attempts are used up.
    #[error("timed out waiting for unit {unit} to report state {state}")]
    TimedOut {
        /// Unit.
        unit: String,
        /// What was waited for.
        state: &'static str,
    },
    /// A unit does not run although it was started.
    #[error("error: unit {unit} was started on {machine} and is {active} ({sub}), not active")]
    NotActive {
        /// Unit.
        unit: String,
        /// Machine as tables show it.
        machine: String,
        /// ACTIVE.
        active: String,
        /// SUB.
        sub: String,
    },
    /// A unit was taken away while it was waited for.
    #[error("error: unit {0} was destroyed by somebody else while it was waited for")]
    Vanished(String),
    /// A unit is stored and on no machine.
    #[error("Unit {0} does not appear to be loaded.")]
    NotLoaded(String),
    /// Nobody has the unit.
    #[error("Unit {0} does not exist.")]
    NoUnit(String),
    /// Global units are on many machines, and this one has none or is none.
    #[error(
        "error: unit {unit} is global and not on this machine; use \"fleetctl ssh --machine MACHINE {command}\""
    )]
    Global {
        /// Unit.
        unit: String,
        /// Command to run there.
        command: String,
    },
    /// A machine cannot be told from what was given.
    #[error("error: {0}")]
    Target(#[from] TargetError),
    /// A program cannot be run.
    #[error("error: {0}")]
    Ssh(#[from] SshError),
    /// Units stay on a machine that was to be drained.
    #[error(
        "error: {machine} still has {} after {} s: {}; \"fleetctl undrain {machine}\" takes the drain back",
        count(.left.len()), .after.as_secs(), .left.join(" ")
    )]
    NotDrained {
        /// Machine's id.
        machine: String,
        /// Units that are still there.
        left: Vec<String>,
        /// How long was waited.
        after: Duration,
    },
    /// Nobody answers while a machine is drained.
    #[error(
        "error: nobody says what {machine} still has after {} s; it stays draining, \"fleetctl undrain {machine}\" \
         takes that back", .after.as_secs()
    )]
    NotLooked {
        /// Machine's id.
        machine: String,
        /// How long was waited.
        after: Duration,
    },
    /// Unit signing is gone.
    #[error(
        "error: verify is gone: units are not signed; who may write to fleetd's socket decides what runs \
         (docs/operating/fleetctl.md)"
    )]
    Verify,
    /// A socket cannot be forwarded.
    #[error("error: forwarding {socket}: {source}")]
    Forward {
        /// Socket.
        socket: String,
        /// Why.
        source: io::Error,
    },
    /// The system refuses what asking takes.
    #[error("error: preparing to ask: {0}")]
    Runtime(io::Error),
    /// Output cannot be written.
    #[error("error: writing output: {0}")]
    Output(io::Error),
    /// Something has been said already; this is the exit code.
    #[error("")]
    Said(u8),
}

impl Failure {
    /// Returns the exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::NoUnits | Self::Usage(_) | Self::Endpoint(_) | Self::Verify => USAGE,
            Self::Connect(ConnectError::TlsFiles | ConnectError::TlsTunnel) => USAGE,
            Self::Said(code) => *code,
            _ => FAILED,
        }
    }

    /// Returns the line for standard error, if there is something to say.
    pub fn line(&self) -> Option<String> {
        match self {
            Self::Said(_) => None,
            // Whoever read the output has had enough of it, as `head` has.
            Self::Output(err) if err.kind() == io::ErrorKind::BrokenPipe => None,
            _ => Some(self.to_string()),
        }
    }

    /// Whether the store or fleetd is away: it may come back while something is waited for.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Api { source, .. } => {
                matches!(source.kind, api::ErrorKind::Unavailable | api::ErrorKind::Unreachable)
            }
            _ => false,
        }
    }
}

/// Returns a number of units in words.
fn count(units: usize) -> String {
    if units == 1 { "1 unit".to_owned() } else { format!("{units} units") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_scripts_know_are_kept_to_the_letter() {
        let unit = || "x.service".to_owned();
        let line = |failure: Failure| failure.line().unwrap();
        assert_eq!(line(Failure::NoUnits), "No units given");
        assert_eq!(line(Failure::Field("x".to_owned())), r#"Invalid key in output format: "x""#);
        assert_eq!(line(Failure::NotPlaced(unit())), "Unable to stop unit x.service in state inactive");
        assert_eq!(line(Failure::NotLoaded(unit())), "Unit x.service does not appear to be loaded.");
        assert_eq!(line(Failure::NoUnit(unit())), "Unit x.service does not exist.");
        let late = Failure::TimedOut { unit: unit(), state: "launched" };
        assert_eq!(line(late), "timed out waiting for unit x.service to report state launched");
        let nowhere = line(Failure::NowhereFound(unit()));
        assert!(
            nowhere.ends_with("unable to find Unit(x.service) in Registry or on filesystem"),
            "{nowhere}"
        );
    }

    #[test]
    fn a_wrong_command_line_has_a_code_of_its_own() {
        assert_eq!(Failure::NoUnits.code(), 2);
        assert_eq!(Failure::Verify.code(), 2);
        assert_eq!(Failure::NoUnit("x".to_owned()).code(), 1);
        assert_eq!(Failure::Said(3).code(), 3);
    }

    #[test]
    fn a_closed_pipe_is_no_error_to_speak_of() {
        let closed = Failure::Output(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(closed.line(), None);
        let full = Failure::Output(io::Error::from(io::ErrorKind::StorageFull));
        assert!(full.line().is_some());
    }
}

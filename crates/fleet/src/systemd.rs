//! The service manager of this machine: what fleet asks of systemd, and the files that it gives it.
//!
//! [`Manager`] is what is asked. [`Dbus`] asks systemd, [`Fake`] stands in for it in tests. [`Units`] has the rules
//! of loading and unloading over both: which file is written when, and what is deleted only after what.

mod dbus;
mod dropin;
mod fake;
mod folder;
mod units;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

pub use dbus::{Bus, Dbus};
pub use dropin::{GUARD_UNIT, bound_to_guard};
pub use fake::{Behaviour, Fake};
pub use folder::{FileError, Folder};
pub(crate) use folder::{read_file, write_file};
pub use units::{Binding, Found, Places, Stopping, Units, UnitsError, Unloading};

/// A unit as the service manager sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// LOAD.
    pub load: String,
    /// ACTIVE.
    pub active: String,
    /// SUB.
    pub sub: String,
    /// Kind of the job that waits or runs for it, such as `start` or `stop`.
    pub job: Option<String>,
}

impl Status {
    /// Whether nothing of the unit runs and nothing is under way that could change that.
    pub fn is_stopped(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed") && self.job.is_none()
    }

    /// Whether the unit runs.
    pub fn is_active(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "refreshing")
    }
}

/// A request to the service manager that failed. The text ends in the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be reached.
    #[error(
        "{doing}: the service manager is not reached over {bus} ({reason}): check `systemctl status dbus.socket` \
         and that fleetd runs as root"
    )]
    Away {
        /// What was asked, as a gerund.
        doing: String,
        /// Over what.
        bus: String,
        /// What went wrong.
        reason: String,
    },
    /// It did not answer in time.
    #[error("{doing}: the service manager did not answer within {} s: see `systemctl list-jobs`", within.as_secs())]
    Timeout {
        /// What was asked, as a gerund.
        doing: String,
        /// The time that it had.
        within: Duration,
    },
    /// It refused.
    #[error("{doing}: the service manager refuses ({name}: {message}): see `journalctl -b -t systemd`")]
    Refused {
        /// What was asked, as a gerund.
        doing: String,
        /// Name of the error, such as `org.freedesktop.systemd1.NoSuchUnit`.
        name: String,
        /// Its words.
        message: String,
    },
    /// Its answer has another form than systemd's interface says.
    #[error("{doing}: the answer is not understood ({reason}): systemd 230 or newer is needed")]
    Answer {
        /// What was asked, as a gerund.
        doing: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Whether the service manager does not know the unit, which is what somebody who stops it wants.
    pub fn is_no_such_unit(&self) -> bool {
        matches!(self, Self::Refused { name, .. }
            if name == "org.freedesktop.systemd1.NoSuchUnit" || name == "org.freedesktop.DBus.Error.FileNotFound")
    }
}

/// A service manager.
///
/// Starting and stopping return when the job is queued; [`Manager::changed`] tells when it may be done.
pub trait Manager: Send + Sync + 'static {
    /// Makes a unit file outside of the manager's folders known until the next boot.
    fn link(&self, file: &Path) -> impl Future<Output = Result<(), Error>> + Send;
    /// Does what `[Install]` of a known unit says, until the next boot.
    fn enable(&self, unit: &str) -> impl Future<Output = Result<(), Error>> + Send;
    /// Undoes both.
    fn disable(&self, unit: &str) -> impl Future<Output = Result<(), Error>> + Send;
    /// Reads all unit files anew.
    fn reload(&self) -> impl Future<Output = Result<(), Error>> + Send;
    /// Queues a start. One that runs already keeps running.
    fn start(&self, unit: &str) -> impl Future<Output = Result<(), Error>> + Send;
    /// Queues a stop.
    fn stop(&self, unit: &str) -> impl Future<Output = Result<(), Error>> + Send;
    /// Forgets that a unit failed.
    fn reset_failed(&self, unit: &str) -> impl Future<Output = Result<(), Error>> + Send;
    /// Returns how units are, with a few requests for all of them. Those that it does not know are `not-found`.
    fn states(
        &self,
        units: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, Status>, Error>> + Send;
    /// Returns when a state may have changed since this returned the last time. One waits at a time.
    fn changed(&self) -> impl Future<Output = ()> + Send;
}

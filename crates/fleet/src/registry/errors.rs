//! What the API says when the store does not do as asked.

use crate::api::{Error, ErrorKind};

/// What the original said whenever etcd did not answer; scripts look for it.
const AWAY: &str = "fleet server unable to communicate with etcd";

/// Returns what the API answers when the store could not be read.
pub(super) fn read_error(err: &etcd_rpc::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{AWAY}: {err}{}", look_at_members(err)))
}

/// Returns what the API answers when the store did not take a change. Nothing was changed, unless it says that this is
/// not known.
pub(super) fn write_error(err: &etcd_rpc::Error) -> Error {
    let unknown = if err.is_outcome_unknown() {
        "; whether the change was made is not known, look before you repeat it"
    } else {
        ""
    };
    Error::new(ErrorKind::Unavailable, format!("{AWAY}: {err}{unknown}{}", look_at_members(err)))
}

/// Returns what the API answers for a listing that goes on at a revision that is gone.
pub(super) fn listing_error(err: &etcd_rpc::Error) -> Error {
    match err {
        etcd_rpc::Error::Compacted | etcd_rpc::Error::FutureRevision => Error::new(
            ErrorKind::Invalid,
            "the page token is of a revision that is not kept: list again from the beginning",
        ),
        _ => read_error(err),
    }
}

/// Where a member may be away, what tells which one. A store that is full or refuses this machine is all there.
fn look_at_members(err: &etcd_rpc::Error) -> &'static str {
    use etcd_rpc::Error::{Interrupted, NoLeader, Timeout, Unreachable};
    match err {
        Unreachable { .. } | NoLeader { .. } | Timeout { .. } | Interrupted { .. } => {
            "; `slipway etcd check` on fleetd's machine says which member is away"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn late() -> etcd_rpc::Error {
        etcd_rpc::Error::Timeout { endpoint: "http://e".to_owned(), within: Duration::from_secs(5) }
    }

    #[test]
    fn an_unknown_outcome_is_said_of_changes_alone() {
        let unknown = "whether the change was made is not known";
        assert!(write_error(&late()).message.contains(unknown));
        assert!(!read_error(&late()).message.contains(unknown));
        assert!(!write_error(&etcd_rpc::Error::NoSpace).message.contains(unknown));
    }

    #[test]
    fn members_are_looked_at_where_one_may_be_away() {
        let check = "`slipway etcd check` on fleetd's machine";
        assert!(read_error(&late()).message.contains(check));
        let denied = etcd_rpc::Error::Denied { reason: "no".to_owned() };
        for err in [etcd_rpc::Error::NoSpace, denied] {
            assert!(!write_error(&err).message.contains(check), "{err}");
        }
    }
}

//! What the API says when the store does not do as asked.

use crate::api::{Error, ErrorKind};

/// What the original said whenever etcd did not answer; scripts look for it.
const AWAY: &str = "fleet server unable to communicate with etcd";

/// Returns what the API answers for an error of the store. Nothing was changed, unless the outcome is not known.
pub fn store_error(err: &etcd_rpc::Error) -> Error {
    let unknown = if err.is_outcome_unknown() {
        "; whether the change was made is not known, look before you repeat it"
    } else {
        ""
    };
    Error::new(ErrorKind::Unavailable, format!("{AWAY}: {err}{unknown}"))
}

/// Returns what the API answers for a listing that goes on at a revision that is gone.
pub(super) fn listing_error(err: &etcd_rpc::Error) -> Error {
    match err {
        etcd_rpc::Error::Compacted | etcd_rpc::Error::FutureRevision => Error::new(
            ErrorKind::Invalid,
            "the page token is of a revision that is not kept: list again from the beginning",
        ),
        _ => store_error(err),
    }
}

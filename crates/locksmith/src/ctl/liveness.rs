//! Which machines fleet sees, where there is a fleet to ask.

use std::collections::BTreeSet;

use crate::fleet;

/// Returns the machines that fleet sees; `None` where it does not answer, which most often means that there is none.
pub(super) async fn machines() -> Option<BTreeSet<String>> {
    // Without fleet nothing is known of other machines, and that is what is shown.
    fleet::machines().await.ok()
}

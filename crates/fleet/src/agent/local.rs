//! What this machine has: units with files and states, as `fleet-core` plans with.

use std::collections::BTreeMap;

use fleet_core::agent::{Job, Local};
use fleet_core::name::UnitName;
use fleet_core::unit_file::UnitFile;

use crate::systemd::Found;

/// Returns the units of fleet among the files that were found. A file whose name is no unit's is none of fleet's.
pub(super) fn units(found: &BTreeMap<String, Found>) -> BTreeMap<UnitName, Local> {
    let local = |(name, found): (&String, &Found)| Some((UnitName::parse(name).ok()?, local(found)));
    found.iter().filter_map(local).collect()
}

fn local(found: &Found) -> Local {
    let status = found.status.clone();
    // A file that is not understood is not as it was written, and differs from any that is wanted.
    let hash = UnitFile::parse(&found.content).map(|file| file.hash().to_owned()).unwrap_or_default();
    let job = if status.job.is_some() { Job::Pending } else { Job::None };
    Local { hash, load: status.load, active: status.active, sub: status.sub, job }
}

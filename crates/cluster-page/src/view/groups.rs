//! Groups of locksmith: slots and versions.

use std::collections::BTreeSet;

use super::{Group, Lock, Version, moment};
use crate::documents::{self, Holder};
use crate::known::Known;
use crate::source::Source;

/// Returns the groups that were asked about, by name.
pub(super) fn groups(known: &Known) -> Vec<Group> {
    let names: BTreeSet<&str> = known.sources.keys().filter_map(Source::group).collect();
    names.into_iter().map(|name| group(known, name)).collect()
}

/// Returns all holders as locksmith lists them.
pub(super) fn holders(known: &Known) -> Vec<Holder> {
    let locks = known.sources.keys().filter(|source| matches!(source, Source::Locks(_)));
    locks
        .filter_map(|source| documents::slots(known.document(source)?))
        .flat_map(|slots| slots.holders)
        .collect()
}

fn group(known: &Known, name: &str) -> Group {
    let slots = known.document(&Source::Locks(name.to_owned())).and_then(documents::slots);
    let versions = known.document(&Source::Versions(name.to_owned())).map(documents::versions);
    let lock = |holder: &Holder| Lock {
        id: holder.id.clone(),
        since: moment(holder.since.as_ref()),
        version: holder.version.clone(),
        drained: holder.drained,
    };
    Group {
        name: name.to_owned(),
        max: slots.as_ref().map(|slots| slots.max),
        available: slots.as_ref().map(|slots| slots.available),
        holders: slots.iter().flat_map(|slots| &slots.holders).map(lock).collect(),
        versions: versions.into_iter().flat_map(|found| found.rows).map(version).collect(),
    }
}

fn version(found: documents::Version) -> Version {
    let documents::Version { version, state, by, at, stage, reason } = found;
    Version { version, state, by, at: moment(at.as_ref()), stage, reason }
}

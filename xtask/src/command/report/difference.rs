//! What differs between two builds, from their manifests alone.

use std::collections::BTreeMap;

use crate::manifest::Manifest;

/// All differences; every list is empty when the builds hold the same.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Name and new version.
    pub added: Vec<(String, String)>,
    /// Name and old version.
    pub removed: Vec<(String, String)>,
    /// Name, old and new version.
    pub changed: Vec<(String, String, String)>,
    /// Package, old and new bytes in `/usr`; largest change first.
    pub sizes: Vec<(String, u64, u64)>,
    /// Role, old and new length of the artifacts whose bytes differ.
    pub artifacts: Vec<(String, u64, u64)>,
    /// Special files that only the old build has, as one line each.
    pub special_gone: Vec<String>,
    /// Special files that only the new build has.
    pub special_new: Vec<String>,
    /// Name, old and new value of lock, commit and tools.
    pub inputs: Vec<(String, String, String)>,
}

impl Difference {
    /// Says whether the builds are the same but for what names them.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares `old` with `new`.
pub fn between(old: &Manifest, new: &Manifest) -> Difference {
    let mut out = Difference::default();
    let versions = |manifest: &Manifest| -> BTreeMap<String, String> {
        manifest.packages.iter().map(|package| (package.name.clone(), package.version.clone())).collect()
    };
    for (name, from, to) in joined(&versions(old), &versions(new)) {
        match (from, to) {
            (None, Some(to)) => out.added.push((name, to)),
            (Some(from), None) => out.removed.push((name, from)),
            (Some(from), Some(to)) if from != to => out.changed.push((name, from, to)),
            _ => {}
        }
    }
    out.sizes = joined(&old.contents, &new.contents)
        .into_iter()
        .map(|(name, from, to)| (name, from.unwrap_or(0), to.unwrap_or(0)))
        .filter(|(_, from, to)| from != to)
        .collect();
    out.sizes.sort_by(|a, b| b.1.abs_diff(b.2).cmp(&a.1.abs_diff(a.2)).then_with(|| a.0.cmp(&b.0)));
    let sums = |manifest: &Manifest| -> BTreeMap<String, (String, u64)> {
        let row = |(role, artifact): (&String, &crate::manifest::Artifact)| {
            (role.clone(), (artifact.sha256.clone(), artifact.size))
        };
        manifest.artifacts.iter().map(row).collect()
    };
    out.artifacts = joined(&sums(old), &sums(new))
        .into_iter()
        .filter(|(_, from, to)| from != to)
        .map(|(role, from, to)| (role, from.map_or(0, |row| row.1), to.map_or(0, |row| row.1)))
        .collect();
    let (before, after) = (special(old), special(new));
    out.special_gone = before.iter().filter(|line| !after.contains(line)).cloned().collect();
    out.special_new = after.iter().filter(|line| !before.contains(line)).cloned().collect();
    out.inputs = joined(&inputs(old), &inputs(new))
        .into_iter()
        .filter(|(_, from, to)| from != to)
        .map(|(name, from, to)| (name, from.unwrap_or_default(), to.unwrap_or_default()))
        .collect();
    out
}

fn inputs(manifest: &Manifest) -> BTreeMap<String, String> {
    let mut map = manifest.toolchain.clone();
    map.insert("commit".to_owned(), manifest.commit.clone());
    map.insert("version".to_owned(), manifest.version.clone());
    map.insert("lock".to_owned(), manifest.lock_sha256.clone());
    map.insert("root hash".to_owned(), manifest.root_hash.clone());
    map
}

fn special(manifest: &Manifest) -> Vec<String> {
    let line = |file: &crate::manifest::SpecialFile| {
        format!("{} {}:{} {}", file.mode, file.owner, file.group, file.path)
    };
    manifest.special_files.iter().map(line).collect()
}

/// The keys of both maps in order, with the value of each side.
fn joined<V: Clone>(
    old: &BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
) -> Vec<(String, Option<V>, Option<V>)> {
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().map(|key| (key.clone(), old.get(key).cloned(), new.get(key).cloned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::report::page::tests::manifest;
    use crate::manifest::Package;

    #[test]
    fn a_build_does_not_differ_from_itself() {
        assert!(between(&manifest(), &manifest()).is_empty());
    }

    #[test]
    fn names_what_came_what_went_and_what_changed() {
        let old = manifest();
        let mut new = manifest();
        let gone = new.packages.remove(0);
        new.packages[0].version = "9".to_owned();
        new.packages.push(Package { name: "zz".to_owned(), ..gone.clone() });
        new.contents.insert("zz".to_owned(), 5);
        new.special_files.clear();
        new.artifacts.get_mut("usr").unwrap().sha256 = "0".repeat(64);
        let found = between(&old, &new);
        assert_eq!(found.removed, [(gone.name.clone(), gone.version.clone())]);
        assert_eq!(found.added, [("zz".to_owned(), gone.version)]);
        assert_eq!(found.changed.len(), 1);
        assert_eq!(found.changed[0].2, "9");
        assert_eq!(found.sizes, [("zz".to_owned(), 0, 5)]);
        assert_eq!(found.special_gone.len(), old.special_files.len());
        assert!(found.special_new.is_empty() && found.inputs.is_empty());
        let size = old.artifacts["usr"].size;
        assert_eq!(found.artifacts, [("usr".to_owned(), size, size)]);
    }
}

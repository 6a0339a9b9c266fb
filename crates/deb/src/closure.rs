//! Closing a short list of packages over what they need.
//!
//! This is for trees that are unpacked and never configured, so it is simpler than apt: `Conflicts` and
//! `Recommends` are not looked at, essential packages are not added by themselves, of each name the highest
//! version is the only candidate, and of alternatives the first that is chosen already or else the first
//! that exists is taken. What is installed into the image is resolved by apt.

use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use crate::dependency::Relation;
use crate::index::Package;
use crate::version::Version;

/// Why a list cannot be closed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ClosureError {
    /// A wanted package exists nowhere.
    #[error("unknown package `{0}`")]
    Unknown(String),
    /// A dependency that nothing in the archive satisfies.
    #[error("package `{package}` needs `{needs}`, which the archive does not have")]
    Unmet {
        /// Whose dependency it is.
        package: String,
        /// The alternatives as written.
        needs: String,
    },
}

/// The candidates of an archive by name: what each name could mean.
#[derive(Debug, Clone, Default)]
pub struct Universe<'a> {
    real: BTreeMap<&'a str, &'a Package>,
    /// Name provided, with the version if any, and who provides it; only by candidates.
    provided: BTreeMap<&'a str, Vec<(Option<&'a Version>, &'a Package)>>,
}

impl<'a> Universe<'a> {
    /// Collects the packages of all indexes. Of equal versions the first one met stays.
    pub fn new(packages: impl IntoIterator<Item = &'a Package>) -> Self {
        let mut real: BTreeMap<&str, &Package> = BTreeMap::new();
        for package in packages {
            let newer = real.get(package.name.as_str()).is_none_or(|known| known.version < package.version);
            if newer {
                real.insert(&package.name, package);
            }
        }
        let mut provided: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for package in real.values().copied() {
            for relation in &package.provides {
                let version = relation.versions.as_ref().map(|(_, version)| version);
                provided.entry(&relation.name).or_default().push((version, package));
            }
        }
        Self { real, provided }
    }

    /// Returns the candidate of a name.
    pub fn get(&self, name: &str) -> Option<&'a Package> {
        self.real.get(name).copied()
    }

    /// Returns all packages that satisfy a relation: the one of that name first, then providers by name.
    fn satisfying(&self, relation: &Relation) -> Vec<&'a Package> {
        let real = self.get(&relation.name).filter(|package| relation.accepts(&package.version));
        let provided = self.provided.get(relation.name.as_str()).into_iter().flatten();
        // A provided name without a version satisfies only a relation without one (policy 7.5).
        let fits = |version: &Option<&Version>| match version {
            Some(version) => relation.accepts(version),
            None => relation.versions.is_none(),
        };
        real.into_iter().chain(provided.filter(|(version, _)| fits(version)).map(|(_, by)| *by)).collect()
    }
}

/// Returns `wanted` and all that it needs, by name.
pub fn close<'a>(
    universe: &Universe<'a>,
    wanted: &[impl AsRef<str>],
) -> Result<BTreeMap<&'a str, &'a Package>, ClosureError> {
    let mut chosen = BTreeMap::new();
    let mut queue = VecDeque::new();
    // First all that was asked for by name, so that alternatives follow it and not the other way round.
    for name in wanted.iter().map(AsRef::as_ref) {
        let package = universe.get(name).ok_or_else(|| ClosureError::Unknown(name.to_owned()))?;
        if chosen.insert(package.name.as_str(), package).is_none() {
            queue.push_back(package);
        }
    }
    while let Some(package) = queue.pop_front() {
        for alternatives in &package.depends {
            let candidates: Vec<_> =
                alternatives.iter().flat_map(|relation| universe.satisfying(relation)).collect();
            if candidates.iter().any(|candidate| chosen.contains_key(candidate.name.as_str())) {
                continue;
            }
            let first = *candidates.first().ok_or_else(|| ClosureError::Unmet {
                package: package.name.clone(),
                needs: alternatives.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "),
            })?;
            chosen.insert(&first.name, first);
            queue.push_back(first);
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dependency::parse_field;

    fn package(name: &str, version: &str, depends: &str, provides: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.parse().unwrap(),
            architecture: "all".to_owned(),
            depends: parse_field(depends).unwrap(),
            provides: parse_field(provides).unwrap().into_iter().flatten().collect(),
            path: format!("pool/{name}.deb"),
            size: 1,
            sha256: [0; 32],
        }
    }

    #[track_caller]
    fn check(packages: &[Package], wanted: &[&str], expected: &[&str]) {
        let universe = Universe::new(packages);
        let closed = close(&universe, wanted).unwrap();
        assert_eq!(closed.keys().copied().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn follows_dependencies_through_cycles() {
        let packages =
            [package("aa", "1", "bb", ""), package("bb", "1", "cc, aa", ""), package("cc", "1", "", "")];
        check(&packages, &["aa"], &["aa", "bb", "cc"]);
    }

    #[test]
    fn takes_the_highest_version_of_all_suites() {
        let packages =
            [package("aa", "1", "", ""), package("aa", "1.1~x", "bb", ""), package("bb", "1", "", "")];
        check(&packages, &["aa"], &["aa", "bb"]);
    }

    #[test]
    fn prefers_what_is_chosen_already_then_the_first() {
        let packages = [
            package("aa", "1", "mawk | gawk", ""),
            package("bb", "1", "nothing | gawk", ""),
            package("gawk", "1", "", "awk"),
            package("mawk", "1", "", "awk"),
            package("cc", "1", "awk", ""),
        ];
        check(&packages, &["aa"], &["aa", "mawk"]);
        check(&packages, &["aa", "gawk"], &["aa", "gawk"]);
        check(&packages, &["bb"], &["bb", "gawk"]);
        check(&packages, &["cc", "mawk"], &["cc", "mawk"]);
        check(&packages, &["cc"], &["cc", "gawk"]);
    }

    #[test]
    fn provided_versions_count_and_their_absence_too() {
        let packages = [
            package("real", "1", "", "api (= 5), plain"),
            package("aa", "1", "api (>= 4)", ""),
            package("bb", "1", "api (>= 6)", ""),
            package("cc", "1", "plain (>= 1)", ""),
        ];
        check(&packages, &["aa"], &["aa", "real"]);
        let universe = Universe::new(&packages);
        let unmet =
            |package: &str, needs: &str| ClosureError::Unmet { package: package.into(), needs: needs.into() };
        assert_eq!(close(&universe, &["bb"]), Err(unmet("bb", "api (>= 6)")));
        assert_eq!(close(&universe, &["cc"]), Err(unmet("cc", "plain (>= 1)")));
        assert_eq!(close(&universe, &["dd"]), Err(ClosureError::Unknown("dd".into())));
    }

    proptest! {
        #[test]
        fn closes_over_itself(edges in prop::collection::vec((0usize..8, 0usize..8), 0..24), start in 0usize..8) {
            let packages: Vec<_> = (0..8)
                .map(|from| {
                    let needs: Vec<_> =
                        edges.iter().filter(|(a, _)| *a == from).map(|(_, b)| format!("p{b}")).collect();
                    package(&format!("p{from}"), "1", &needs.join(","), "")
                })
                .collect();
            let universe = Universe::new(&packages);
            let closed = close(&universe, &[format!("p{start}")]).unwrap();
            for package in closed.values() {
                for need in &package.depends {
                    prop_assert!(closed.contains_key(need[0].name.as_str()));
                }
            }
        }
    }
}

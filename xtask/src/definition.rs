//! The image definition, `image/image.yaml`: parsed, checked, and every error with its line.

mod size;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_yaml::Spanned;

pub use size::Size;

/// The only value of `schema` that this build understands.
const SCHEMA: u32 = 1;
/// The first version that takes updates.
const FIRST_VERSION: &str = "0.1.0";

/// What goes into the image. Exists only if valid.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    schema: Spanned<u32>,
    /// First word of file names and boot entries.
    pub product: Spanned<String>,
    /// Lowest version that may update to this one, see [`Definition::min_from`].
    #[serde(default)]
    min_from: Option<Spanned<String>>,
    /// Base URL below which the archive folders lie; usually given elsewhere.
    #[serde(default)]
    pub mirror: Option<String>,
    /// Where packages come from.
    pub archive: Archive,
    /// Packages of the image by group.
    pub packages: BTreeMap<String, Group>,
    /// Packages of the tools trees by group.
    pub tools: BTreeMap<String, Vec<Spanned<String>>>,
    /// Fixed numbers of users and groups.
    pub accounts: Accounts,
    /// What does not ship.
    pub prune: Prune,
    /// What the initrd holds.
    pub initrd: Initrd,
    /// Owners and modes that packages set at installation only.
    pub ownership: Vec<Ownership>,
    /// The partitions of the disk, in order.
    pub partitions: Vec<Partition>,
    /// Length of the raw image.
    pub disk_size: Size,
    /// Sizes that fail the build when exceeded.
    pub budgets: Budgets,
}

/// Suites of one distribution.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Debian's name of the machine type.
    pub architecture: String,
    /// Parts of each suite.
    pub components: Vec<String>,
    /// Suites, all of the same weight: the newest version wins.
    pub suites: Vec<Suite>,
}

/// One suite of one archive folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Folder below the mirror.
    pub archive: String,
    /// Folder below `dists/`.
    pub suite: String,
}

/// Packages that belong together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// May be left out with `--without`.
    #[serde(default)]
    pub optional: bool,
    /// Names, without versions.
    pub packages: Vec<Spanned<String>>,
}

/// Every user and group that may exist in the image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// Name to number.
    pub groups: BTreeMap<String, Spanned<u32>>,
    /// Name to account.
    pub users: BTreeMap<String, User>,
}

/// One line of `passwd`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Number.
    pub uid: Spanned<u32>,
    /// Primary group; the user's own name when absent.
    #[serde(default)]
    pub group: Option<String>,
    /// Home folder.
    #[serde(default = "no_home")]
    pub home: String,
    /// Login shell.
    #[serde(default = "no_shell")]
    pub shell: String,
    /// Full name.
    #[serde(default)]
    pub comment: String,
    /// Further groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Paths that do not ship, as globs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// Below the root.
    pub paths: Vec<Spanned<String>>,
    /// Below `usr/lib/modules/<version>/kernel`.
    pub modules: Vec<Spanned<String>>,
    /// Below `usr/lib/firmware`: what stays although no module names it.
    pub firmware_kept: Vec<Spanned<String>>,
}

/// What is taken from the assembled packages into the initrd.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Initrd {
    /// Globs of files below the root.
    pub paths: Vec<Spanned<String>>,
    /// Names of kernel modules.
    pub modules: Vec<Spanned<String>>,
}

/// One row of the ownership table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ownership {
    /// Below the root of the finished image, no glob.
    pub path: Spanned<String>,
    /// Owner by name.
    #[serde(default = "root_name")]
    pub owner: String,
    /// Group by name.
    #[serde(default = "root_name")]
    pub group: String,
    /// Permission bits, octal.
    pub mode: Spanned<String>,
}

/// One partition of the image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Role in the table; the slots' labels on disk carry the version.
    pub label: String,
    /// Kind, by name.
    #[serde(rename = "type")]
    pub kind: PartitionKind,
    /// Length.
    pub size: Size,
}

/// Kinds of partitions that an image may hold.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionKind {
    /// EFI system partition.
    Esp,
    /// `/usr` of one slot.
    Usr,
    /// Hash tree of one slot.
    UsrVerity,
    /// FAT, for first-boot input.
    BasicData,
}

/// Upper bounds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// `usr.erofs`.
    pub usr: Budget,
    /// The unified kernel image.
    pub uki: Budget,
}

/// Bounds of one artifact.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The optional group of packages that the size depends on.
    pub group: Spanned<String>,
    /// When that group is left out.
    pub without: Size,
    /// When it is there.
    pub with: Size,
}

impl Budget {
    /// The field that holds for a build without some groups, and its value.
    pub fn limit(&self, without: &[String]) -> (&'static str, u64) {
        if without.contains(&self.group.value) { ("without", self.without.0) } else { ("with", self.with.0) }
    }
}

fn no_home() -> String {
    "/nonexistent".to_owned()
}

fn no_shell() -> String {
    "/usr/sbin/nologin".to_owned()
}

fn root_name() -> String {
    "root".to_owned()
}

impl Definition {
    /// Reads and checks the definition; errors start with `FILE:LINE:COLUMN`.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).map_err(|err| anyhow::anyhow!("{}:{err}", path.display()))
    }

    /// The same for a text; errors start with `LINE:COLUMN`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let definition: Self = serde_yaml::from_str(text).map_err(|err| {
            let plain = err.without_snippet().to_string();
            let at = err.location().map_or((1, 1), |found| (found.line(), found.column()));
            // The position stands in front already.
            let message = plain.lines().next().unwrap_or("not valid YAML");
            let message = message.split(" at line ").next().unwrap_or(message);
            format!("{}:{}: {message}", at.0, at.1)
        })?;
        definition.check()?;
        Ok(definition)
    }

    /// Lowest version that may update to this one: the agents of older ones could not.
    pub fn min_from(&self) -> slots::Version {
        let text = self.min_from.as_ref().map_or(FIRST_VERSION, |text| &text.value);
        text.parse().expect("the definition was checked")
    }

    /// Names of the groups that `--without` may leave out.
    pub fn optional_groups(&self) -> BTreeSet<&str> {
        self.packages.iter().filter(|(_, group)| group.optional).map(|(name, _)| name.as_str()).collect()
    }

    /// Fails when `--without` names something else than an optional group.
    pub fn check_without(&self, without: &[String]) -> anyhow::Result<()> {
        let optional = self.optional_groups();
        for name in without {
            anyhow::ensure!(
                optional.contains(name.as_str()),
                "`--without {name}`: the optional groups of image/image.yaml are: {}",
                Vec::from_iter(optional.iter().copied()).join(", ")
            );
        }
        Ok(())
    }

    /// What the locks depend on: a change here makes them stale.
    pub fn lock_inputs(&self) -> Vec<u8> {
        let mut text = format!("{:?}\n", self.archive);
        for (name, group) in &self.packages {
            text.push_str(&format!("{name} {} {:?}\n", group.optional, names(&group.packages)));
        }
        for (name, packages) in &self.tools {
            text.push_str(&format!("tools {name} {:?}\n", names(packages)));
        }
        text.into_bytes()
    }

    fn check(&self) -> Result<(), String> {
        check(&self.schema, self.schema.value == SCHEMA, || {
            format!("schema: found {}, this checkout understands {SCHEMA}", self.schema.value)
        })?;
        let product = &self.product.value;
        let plain = !product.is_empty() && product.bytes().all(|byte| byte.is_ascii_lowercase());
        check(&self.product, plain, || format!("product: `{product}` must be lower-case letters only"))?;
        if let Some(text) = &self.min_from {
            let parsed = text.value.parse::<slots::Version>();
            check(text, parsed.is_ok(), || {
                format!("min_from: {}", parsed.err().map(|err| err.to_string()).unwrap_or_default())
            })?;
        }
        for packages in self.packages.values().map(|group| &group.packages).chain(self.tools.values()) {
            for name in packages {
                check(name, is_package_name(&name.value), || {
                    format!("packages: `{}` is not a Debian package name", name.value)
                })?;
            }
        }
        let mut numbers = BTreeMap::new();
        for (name, gid) in &self.accounts.groups {
            let earlier = numbers.insert(gid.value, name);
            check(gid, earlier.is_none(), || {
                format!(
                    "accounts.groups.{name}: number {} is that of `{}`",
                    gid.value,
                    earlier.map_or("", |x| x)
                )
            })?;
        }
        numbers.clear();
        for (name, user) in &self.accounts.users {
            let earlier = numbers.insert(user.uid.value, name);
            check(&user.uid, earlier.is_none(), || {
                format!(
                    "accounts.users.{name}.uid: number {} is that of `{}`",
                    user.uid.value,
                    earlier.map_or("", |x| x)
                )
            })?;
            for group in user.groups.iter().chain([user.group.as_ref().unwrap_or(name)]) {
                check(&user.uid, self.accounts.groups.contains_key(group), || {
                    format!("accounts.users.{name}: group `{group}` is not in accounts.groups")
                })?;
            }
        }
        for row in &self.ownership {
            check(
                &row.mode,
                u32::from_str_radix(&row.mode.value, 8).is_ok_and(|mode| mode <= 0o7777),
                || format!("ownership: mode `{}` is not octal, as \"4755\"", row.mode.value),
            )?;
            check(&row.path, self.accounts.users.contains_key(&row.owner), || {
                format!("ownership: owner `{}` is not in accounts.users", row.owner)
            })?;
            check(&row.path, self.accounts.groups.contains_key(&row.group), || {
                format!("ownership: group `{}` is not in accounts.groups", row.group)
            })?;
        }
        for budget in [&self.budgets.usr, &self.budgets.uki] {
            let group = &budget.group;
            check(group, self.optional_groups().contains(group.value.as_str()), || {
                format!("budgets: `{}` is not an optional group of packages", group.value)
            })?;
        }
        let Prune { paths, modules, firmware_kept } = &self.prune;
        for glob in paths.iter().chain(modules).chain(firmware_kept).chain(&self.initrd.paths) {
            let result = globset::Glob::new(&glob.value);
            check(glob, result.is_ok(), || {
                format!("malformed glob: {}", result.err().map(|err| err.to_string()).unwrap_or_default())
            })?;
        }
        Ok(())
    }
}

/// The plain names of a list.
pub fn names(list: &[Spanned<String>]) -> Vec<&str> {
    list.iter().map(|name| name.value.as_str()).collect()
}

fn check<T>(at: &Spanned<T>, ok: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if ok {
        return Ok(());
    }
    Err(format!("{}:{}: {}", at.referenced.line(), at.referenced.column(), message()))
}

/// Debian Policy 5.6.1.
fn is_package_name(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
}

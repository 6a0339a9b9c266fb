//! The archive's indexes, each vouched for by a signature over the `InRelease` that lists its hash.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use deb::compression::{self, Compression};
use deb::index::Package;
use deb::release::{self, Release};
use deb::signature::{self, Keyring};

use crate::cache;
use crate::ctx::Ctx;
use crate::definition::{self, Definition};
use crate::hash;
use crate::lock::Row;
use crate::mirror::Mirror;
use crate::release::sources::{self, SourcesLock};
use crate::sbom::Source;

/// Everything that the suites offer.
#[derive(Debug)]
pub struct Archive {
    /// Newest `Date` of all suites, seconds since 1970.
    pub time: u64,
    /// In the definition's order.
    pub suites: Vec<Suite>,
}

/// One suite, checked.
#[derive(Debug)]
pub struct Suite {
    /// Folder below the mirror.
    pub archive: String,
    /// Folder below `dists/`.
    pub suite: String,
    /// Text of its `Release` file.
    pub release: String,
    /// Text of the index of each component.
    pub indexes: BTreeMap<String, String>,
    packages: Vec<Package>,
}

impl Archive {
    /// Returns the packages of all suites.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.suites.iter().flat_map(|suite| &suite.packages)
    }

    /// Returns the row of one of its packages, in no group yet.
    pub fn row(&self, package: &Package) -> Row {
        let has = |suite: &&Suite| suite.packages.iter().any(|own| std::ptr::eq(own, package));
        let suite = self.suites.iter().find(has).expect("the package is one of this archive");
        row(suite, package)
    }

    /// Returns the rows of all packages by SHA-256, in no group yet.
    pub fn rows(&self) -> BTreeMap<String, Row> {
        let all = self
            .suites
            .iter()
            .flat_map(|suite| suite.packages.iter().map(move |package| row(suite, package)));
        all.map(|row| (row.sha256.clone(), row)).collect()
    }
}

fn row(suite: &Suite, package: &Package) -> Row {
    Row {
        name: package.name.clone(),
        version: package.version.to_string(),
        architecture: package.architecture.clone(),
        groups: Default::default(),
        archive: suite.archive.clone(),
        path: package.path.clone(),
        size: package.size,
        sha256: hash::hex(&package.sha256),
    }
}

/// Fetches and checks the indexes of all suites. `now` is in seconds since 1970.
pub fn load(ctx: &Ctx, definition: &Definition, mirror: &Mirror, now: u64) -> anyhow::Result<Archive> {
    let keyring = keyring(&ctx.image_dir().join("archive-keys"))?;
    let mut archive = Archive { time: 0, suites: Vec::new() };
    for wanted in &definition.archive.suites {
        ctx.cancel.check()?;
        let (text, release) = load_release(ctx, mirror, wanted, &keyring, now)?;
        archive.time = archive.time.max(release.date);
        let mut suite = Suite {
            archive: wanted.archive.clone(),
            suite: wanted.suite.clone(),
            release: text,
            indexes: BTreeMap::new(),
            packages: Vec::new(),
        };
        for component in &definition.archive.components {
            let path = format!("{component}/binary-{}/Packages", definition.archive.architecture);
            let text = load_index(ctx, mirror, wanted, &release, &path).with_context(|| {
                format!("loading the index {path} of {}/{}", wanted.archive, wanted.suite)
            })?;
            let packages = deb::index::parse(&text).with_context(|| {
                format!("reading the index {path} of {}/{}", wanted.archive, wanted.suite)
            })?;
            suite.packages.extend(packages);
            suite.indexes.insert(component.clone(), text);
        }
        archive.suites.push(suite);
    }
    Ok(archive)
}

/// Fetches and checks the indexes of source packages of all suites, and returns the rows of those that are wanted.
/// `now` is in seconds since 1970.
pub fn load_sources(
    ctx: &Ctx,
    definition: &Definition,
    mirror: &Mirror,
    wanted: &BTreeSet<Source>,
    now: u64,
) -> anyhow::Result<SourcesLock> {
    let keyring = keyring(&ctx.image_dir().join("archive-keys"))?;
    let is_wanted = |name: &str, version: &str| {
        wanted.contains(&Source { name: name.to_owned(), version: version.to_owned() })
    };
    let mut rows = Vec::new();
    for suite in &definition.archive.suites {
        ctx.cancel.check()?;
        let (_, release) = load_release(ctx, mirror, suite, &keyring, now)?;
        for component in &definition.archive.components {
            let path = format!("{component}/source/Sources");
            let at = || format!("the index {path} of {}/{}", suite.archive, suite.suite);
            let text = load_index(ctx, mirror, suite, &release, &path)
                .with_context(|| format!("loading {}", at()))?;
            let found =
                deb::source_index::parse(&text, is_wanted).with_context(|| format!("reading {}", at()))?;
            for package in &found {
                let version = package.version.to_string();
                rows.extend(
                    package
                        .files
                        .iter()
                        .map(|file| sources::row(&package.name, &version, &suite.archive, file)),
                );
            }
        }
    }
    Ok(SourcesLock::of(rows))
}

/// Reads every file of a folder as public keys.
fn keyring(dir: &Path) -> anyhow::Result<Keyring> {
    let mut keyring = Keyring::default();
    for (name, path) in hash::sorted_dir(dir)? {
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        keyring.add(&bytes).with_context(|| format!("reading the archive key image/archive-keys/{name}"))?;
    }
    Ok(keyring)
}

fn load_release(
    ctx: &Ctx,
    mirror: &Mirror,
    wanted: &definition::Suite,
    keyring: &Keyring,
    now: u64,
) -> anyhow::Result<(String, Release)> {
    let path = format!("{}/dists/{}/InRelease", wanted.archive, wanted.suite);
    let signed = get(ctx, mirror, path.clone(), release::RELEASE_MAX)?.with_context(|| {
        format!(
            "the mirror {mirror} has no {path}: give a base URL below which the archive folders of \
             image/image.yaml lie"
        )
    })?;
    let text = signature::check_cleartext(&signed, keyring, now)
        .with_context(|| format!("checking the signature of {path} from the mirror {mirror}"))?;
    let release =
        release::parse(&text).with_context(|| format!("reading {path} from the mirror {mirror}"))?;
    release.check(&wanted.suite, now).with_context(|| format!("{path} from the mirror {mirror}"))?;
    Ok((text, release))
}

/// Returns the unpacked text of an index.
fn load_index(
    ctx: &Ctx,
    mirror: &Mirror,
    wanted: &definition::Suite,
    release: &Release,
    path: &str,
) -> anyhow::Result<String> {
    let names = [".xz", ".gz", ""].map(|end| format!("{path}{end}"));
    let Some((name, sum)) = names.iter().find_map(|name| release.files.get(name).map(|sum| (name, sum)))
    else {
        bail!("the suite has none: see `components` and `architecture` in image/image.yaml");
    };
    let expected = hash::hex(&sum.sha256);
    let packed = cache::index(&ctx.cache, &expected, || {
        // By hash first: under their plain names, indexes and InRelease change at different moments.
        let (dir, _) = name.rsplit_once('/').unwrap_or(("", name));
        let base = format!("{}/dists/{}", wanted.archive, wanted.suite);
        let by_hash = get(ctx, mirror, format!("{base}/{dir}/by-hash/SHA256/{expected}"), sum.size)?;
        let bytes = match by_hash {
            Some(bytes) => Some(bytes),
            None => get(ctx, mirror, format!("{base}/{name}"), release::INDEX_MAX)?,
        };
        let bytes = bytes.with_context(|| format!("the mirror {mirror} has no {base}/{name}"))?;
        let found = hash::of_bytes(&bytes);
        if found != expected {
            bail!(
                "{base}/{name} from the mirror {mirror} has SHA-256 {found}, expected {expected}: the mirror may be \
                 in the middle of an update, try again later"
            );
        }
        Ok(bytes)
    })?;
    let (_, compression) = Compression::of_name(name);
    let text = compression::unpack_all(compression, &packed, release::INDEX_MAX)
        .with_context(|| format!("unpacking {name}"))?;
    String::from_utf8(text).with_context(|| format!("{name} is not UTF-8"))
}

/// Gets a file in a thread of its own, so that Ctrl-C need not wait for a mirror that is silent.
fn get(ctx: &Ctx, mirror: &Mirror, path: String, limit: u64) -> anyhow::Result<Option<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    let mirror = mirror.clone();
    std::thread::spawn(move || {
        // Sending fails only when nobody waits any more.
        sender.send(mirror.bytes(&path, limit)).ok()
    });
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(res) => return res,
            Err(mpsc::RecvTimeoutError::Timeout) => ctx.cancel.check()?,
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("a thread panicked"),
        }
    }
}

//! The provenance, made again from the locks, the bill of materials and the files, and compared.

use anyhow::Context as _;
use payload::sums::{SIGNATURE_FILE, SUMS_FILE};

use super::Release;
use crate::command::release::TOOLS;
use crate::keys::Keys;
use crate::lock::Lock;
use crate::release;
use crate::release::provenance::{Facts, Statement};
use crate::sbom::Bom;

/// Fails with what the statement of the release says otherwise than its files.
pub fn check(release: &Release) -> anyhow::Result<()> {
    let name = release.names.provenance();
    let found = Statement::parse(&release.read(&name)?).with_context(|| name.clone())?;
    let locks = release::LOCKS.map(|name| release.file(name).and_then(|path| Lock::read(&path)));
    let [packages, tools] = locks;
    let (packages, tools) = (packages?, tools?);
    let lock = crate::hash::of_bytes(packages.text().as_bytes());
    anyhow::ensure!(
        lock == release.manifest.lock_sha256,
        "{} has SHA-256 {lock}, the manifest says {}",
        release::LOCKS[0],
        release.manifest.lock_sha256
    );
    let bom = Bom::parse(&release.read(&release.names.sbom())?)?;
    let keys = Keys::read_dir(&release.dir.join(release::KEYS_DIR))?;
    let mut files = release.sums.clone();
    files.retain(|file, _| ![SUMS_FILE, SIGNATURE_FILE, &name].contains(&file.as_str()));
    let expected = Statement::of(&Facts {
        files: &files,
        manifest: &release.manifest,
        channel: found.channel(),
        trusted_keys: keys.trusted().map(|key| key.key.id().to_string()).collect(),
        builder: found.builder(),
        locks: &[(release::LOCKS[0], &packages), (release::LOCKS[1], &tools)],
        tools: &TOOLS,
        bom: &bom,
    });
    match expected.difference(&found) {
        None => Ok(()),
        Some(what) => anyhow::bail!("{name} says otherwise of {what}"),
    }
}

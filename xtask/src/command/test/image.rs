//! What others' programs say of a built image.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::hardware;
use crate::checks::Check;
use crate::command::report;
use crate::ctx::Ctx;
use crate::judges::Judges;
use crate::keys::Keys;
use crate::manifest::Manifest;
use crate::seeded::{self, Random};
use crate::segments::{self, unpack};
use crate::{durable, hash, payload_file};

/// Blocks in which the sample flips a byte, beside the first and the last.
const FLIPS: usize = 6;
/// Length of a block that the hash tree covers.
const BLOCK: u64 = 4096;
/// What a unit's file name ends in; drop-ins and links are checked with the unit.
const UNITS: [&str; 8] = ["service", "mount", "automount", "path", "socket", "target", "timer", "slice"];

/// An image under test.
#[derive(Debug)]
pub struct Judged {
    /// What the build said of it.
    pub manifest: Manifest,
    /// Of the sampled checks.
    pub seed: u64,
    dir: PathBuf,
}

impl Judged {
    /// Reads the newest manifest of a folder.
    pub fn read(dir: &Path, seed: Option<u64>) -> anyhow::Result<Self> {
        let path = report::newest(dir)?;
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
        let seed = seed.unwrap_or_else(|| seeded::of_commit(&manifest));
        let dir = path.parent().context("the manifest has no folder")?.to_path_buf();
        Ok(Self { manifest, seed, dir })
    }

    /// Path of an artifact by role.
    pub fn artifact(&self, role: &str) -> anyhow::Result<PathBuf> {
        let artifact = self.manifest.artifacts.get(role);
        Ok(self.dir.join(&artifact.with_context(|| format!("the manifest has no artifact `{role}`"))?.file))
    }

    /// All checks of the image, cheap ones first.
    pub fn checks<'a>(&'a self, ctx: &'a Ctx, judges: &'a Judges) -> Vec<Check<'a>> {
        let seed = self.seed;
        let mut checks = vec![
            Check::new("the files are those of the manifest", || self.sums()),
            Check::new("sgdisk -v finds no problem", || judges.sgdisk_verify(&self.artifact("raw")?)),
            Check::new("sfdisk --verify accepts the table", || judges.sfdisk_verify(&self.artifact("raw")?)),
            Check::new("the partitions of slot A are named by the root hash", || self.slot(judges)),
            Check::new("slot A holds the sealed /usr and its tree", || self.slot_content()),
            Check::new("fsck.fat accepts esp", || self.fat(judges, "esp")),
            Check::new("fsck.fat accepts oem", || self.fat(judges, "oem")),
            Check::new("fsck.erofs reads every file of /usr", || judges.fsck_erofs(&self.artifact("usr")?)),
            Check::new("veritysetup verify accepts the root hash", || self.verity_accepts(judges)),
            Check::new(format!("veritysetup verify finds flipped bytes (seed {seed})"), || {
                self.flips(ctx, judges, &self.sample())
            }),
            Check::new("ukify inspect shows the sections and the root hash", || self.uki(judges)),
            Check::new("the initrd unpacks by the kernel's rules", || self.initrd()),
            Check::new("systemd-analyze verify accepts our units", || self.units(ctx, judges)),
            Check::new("the hardware page's modules ship with their firmware", || self.hardware(ctx, judges)),
        ];
        // With other keys than the committed ones, only who has them can judge.
        if self.manifest.insecure_keys && self.manifest.artifacts.contains_key("payload") {
            checks.push(Check::new("every byte of the payload verifies", || self.payload(ctx)));
        }
        checks
    }

    /// Flips one byte in each of the blocks, one after another, and asks veritysetup each time.
    pub fn flips(&self, ctx: &Ctx, judges: &Judges, blocks: &BTreeSet<u64>) -> anyhow::Result<()> {
        let copy = judges.work().join("flipped.erofs");
        durable::copy_sparse(&self.artifact("usr")?, &copy)
            .with_context(|| format!("copying to {}", copy.display()))?;
        let tree = self.artifact("verity")?;
        let file = OpenOptions::new().read(true).write(true).open(&copy)?;
        let mut random = Random::new(self.seed);
        for block in blocks {
            ctx.cancel.check()?;
            let at = block * BLOCK + random.below(BLOCK);
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).context("reading the byte")?;
            let flipped = [byte[0] ^ (1 << random.below(8))];
            file.write_all_at(&flipped, at).context("flipping the byte")?;
            let accepted = judges.veritysetup_verify(&copy, &tree, &self.manifest.root_hash)?;
            anyhow::ensure!(!accepted, "the flipped byte {at} in block {block} was not found");
            file.write_all_at(&byte, at).context("restoring the byte")?;
        }
        // Without this a judge that refuses everything would pass.
        let accepted = judges.veritysetup_verify(&copy, &tree, &self.manifest.root_hash)?;
        anyhow::ensure!(accepted, "the restored image is not accepted");
        drop(file);
        durable::remove_if_there(&copy)
    }

    fn sample(&self) -> BTreeSet<u64> {
        let n_blocks = self.manifest.usr_blocks;
        let mut random = Random::new(self.seed);
        let drawn = (0..FLIPS).map(|_| random.below(n_blocks));
        drawn.chain([0, n_blocks.saturating_sub(1)]).collect()
    }

    fn sums(&self) -> anyhow::Result<()> {
        for (role, artifact) in &self.manifest.artifacts {
            let path = self.artifact(role)?;
            let (sha256, size) = hash::of_file(&path)?;
            anyhow::ensure!(
                (size, &sha256) == (artifact.size, &artifact.sha256),
                "{}: found {size} bytes with SHA-256 {sha256}, the manifest says {} and {}",
                path.display(),
                artifact.size,
                artifact.sha256
            );
        }
        Ok(())
    }

    fn payload(&self, ctx: &Ctx) -> anyhow::Result<()> {
        let trust = Keys::read(ctx, None)?.trust();
        let (head, _) = payload_file::verify(&self.artifact("payload")?, &trust, &ctx.cancel)?;
        let uki = self.manifest.artifacts.get("uki").map(|uki| uki.sha256.as_str());
        anyhow::ensure!(
            head.manifest.root_hash.to_string() == self.manifest.root_hash
                && Some(head.manifest.uki_sha256.to_string().as_str()) == uki,
            "the payload is one of another image than the manifest"
        );
        Ok(())
    }

    fn slot(&self, judges: &Judges) -> anyhow::Result<()> {
        let Manifest { version, root_hash, .. } = &self.manifest;
        let (first, last) = root_hash.split_at_checked(32).context("the root hash is too short")?;
        let found = judges.sfdisk_partitions(&self.artifact("raw")?)?;
        for (label, expected) in [(format!("usr_{version}"), first), (format!("usr_{version}_verity"), last)]
        {
            let uuid = found.iter().find(|(name, _)| *name == label).map(|(_, uuid)| uuid);
            let uuid = uuid.with_context(|| format!("no partition is labeled `{label}`"))?;
            let digits = uuid.replace('-', "").to_lowercase();
            anyhow::ensure!(
                digits == expected,
                "partition {label}: UUID {uuid}, the root hash says {expected}"
            );
        }
        Ok(())
    }

    fn slot_content(&self) -> anyhow::Result<()> {
        let version = &self.manifest.version;
        for (label, role) in [(format!("usr_{version}"), "usr"), (format!("usr_{version}_verity"), "verity")]
        {
            let (mut partition, _) = self.partition(&label)?;
            let path = self.artifact(role)?;
            let mut file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
            let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
            loop {
                let n = file.read(&mut a)?;
                if n == 0 {
                    break;
                }
                partition.read_exact(&mut b[..n]).with_context(|| format!("reading partition {label}"))?;
                anyhow::ensure!(a[..n] == b[..n], "partition {label} differs from {}", path.display());
            }
        }
        Ok(())
    }

    fn fat(&self, judges: &Judges, label: &str) -> anyhow::Result<()> {
        let (mut partition, size) = self.partition(label)?;
        let path = judges.work().join(format!("{label}.fat"));
        let mut out = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        let copied =
            io::copy(&mut partition, &mut out).with_context(|| format!("copying partition {label}"))?;
        anyhow::ensure!(copied == size, "partition {label} ends after {copied} of {size} bytes");
        drop(out);
        judges.fsck_fat(&path)?;
        durable::remove_if_there(&path)
    }

    fn verity_accepts(&self, judges: &Judges) -> anyhow::Result<()> {
        let (usr, tree) = (self.artifact("usr")?, self.artifact("verity")?);
        let accepted = judges.veritysetup_verify(&usr, &tree, &self.manifest.root_hash)?;
        anyhow::ensure!(accepted, "veritysetup verify refuses {}", usr.display());
        Ok(())
    }

    fn uki(&self, judges: &Judges) -> anyhow::Result<()> {
        let said = judges.ukify_inspect(&self.artifact("uki")?)?;
        let usrhash = format!("usrhash={}", self.manifest.root_hash);
        for expected in [".linux:", ".initrd:", ".cmdline:", ".osrel:", ".uname:", &usrhash] {
            anyhow::ensure!(said.contains(expected), "ukify inspect does not show `{expected}`:\n{said}");
        }
        Ok(())
    }

    fn initrd(&self) -> anyhow::Result<()> {
        let path = self.artifact("uki")?;
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let image = uki::validate_uki(&bytes).with_context(|| format!("reading {}", path.display()))?;
        let initrd = image.pe().read_section(uki::Section::Initrd).context("the UKI has no initrd")?;
        let segments = unpack::segments(initrd)?;
        let aligned = segments.iter().all(|segment| segment.offset % segments::ALIGNMENT == 0);
        anyhow::ensure!(aligned && 2 < segments.len(), "the initrd is not made of aligned segments");
        let tree = unpack::unpack(&segments)?;
        for path in ["init", "usr/lib/systemd/systemd", "usr/bin/slipway", "usr/lib/os-release"] {
            anyhow::ensure!(tree.contains_key(path), "the initrd has no {path}");
        }
        // Our program is alone: a rebuilt one costs an update no more than its own blocks.
        let last = segments.last().map(|segment| segment.entries.iter().map(|entry| entry.path.as_str()));
        let last = last.context("the initrd is empty")?.collect::<Vec<_>>();
        anyhow::ensure!(last == ["usr/bin/slipway"], "the last segment holds {last:?}");
        Ok(())
    }

    /// The image's own systemd reads the units of `/usr`; those of the initrd are read in the same tree, which
    /// holds all programs that they start.
    fn units(&self, ctx: &Ctx, judges: &Judges) -> anyhow::Result<()> {
        let (usr, etc) = (judges.work().join("usr"), judges.work().join("etc"));
        durable::remove_if_there(&usr)?;
        durable::remove_if_there(&etc)?;
        judges.extract_erofs(&self.artifact("usr")?, &usr)?;
        fs::create_dir(&etc).with_context(|| format!("creating {}", etc.display()))?;
        // Specifiers are resolved from these.
        for (name, text) in [("machine-id", "0123456789abcdef0123456789abcdef\n"), ("hostname", "slipway\n")]
        {
            fs::write(etc.join(name), text).with_context(|| format!("writing {name}"))?;
        }
        for name in ["passwd", "group"] {
            let from = usr.join("share/factory/etc").join(name);
            fs::copy(&from, etc.join(name)).with_context(|| format!("copying {}", from.display()))?;
        }
        let overlays = ctx.repo.join("overlays");
        let system = units_below(&overlays, "usr")?;
        let initrd = units_below(&overlays, "initrd/usr")?;
        anyhow::ensure!(!system.is_empty() && !initrd.is_empty(), "{} has no units", overlays.display());
        let names = system.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        judges.systemd_analyze_verify(&usr, &etc, &names.collect::<Vec<_>>())?;
        let paths: Vec<String> = initrd.iter().map(|path| path.display().to_string()).collect();
        judges.systemd_analyze_verify(&usr, &etc, &paths)?;
        durable::remove_if_there(&usr)
    }

    fn hardware(&self, ctx: &Ctx, judges: &Judges) -> anyhow::Result<()> {
        let usr = judges.work().join("usr");
        durable::remove_if_there(&usr)?;
        judges.extract_erofs(&self.artifact("usr")?, &usr)?;
        let path = ctx.repo.join(hardware::PAGE);
        let page = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let has_firmware = self.manifest.packages.iter().any(|package| package.name.starts_with("firmware-"));
        hardware::check(&page, &usr, has_firmware)?;
        durable::remove_if_there(&usr)
    }

    /// A reader of one partition of the raw image, and its length.
    fn partition(&self, label: &str) -> anyhow::Result<(io::Take<File>, u64)> {
        let row = self.manifest.partitions.iter().find(|row| row.label == label);
        let row = row.with_context(|| format!("the manifest has no partition `{label}`"))?;
        let path = self.artifact("raw")?;
        let mut disk = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        disk.seek(SeekFrom::Start(row.offset)).with_context(|| format!("finding partition {label}"))?;
        Ok((disk.take(row.size), row.size))
    }
}

/// Unit files of all components below `inner`, without templates: those need an instance.
fn units_below(overlays: &Path, inner: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut units = Vec::new();
    for (_, component) in hash::sorted_dir(overlays)? {
        let dir = component.join(inner).join("lib/systemd/system");
        if !dir.is_dir() {
            continue;
        }
        for (name, path) in hash::sorted_dir(&dir)? {
            let is_unit =
                name.rsplit_once('.').is_some_and(|(stem, end)| UNITS.contains(&end) && !stem.ends_with('@'));
            if is_unit && fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
                units.push(path);
            }
        }
    }
    Ok(units)
}

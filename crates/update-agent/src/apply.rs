//! Writing the other slot: the steps of design section 6, each durable before the next.
//!
//! | step | function |
//! | --- | --- |
//! | 0 refuse unless the running entry is blessed and its slot is the one mounted | [`Target::find`] |
//! | 1, 2 remove the other entries, empty the slot | [`Target::give_up`] |
//! | 3 write, sync, read back, verify | [`Target::fill`], [`Target::verify`] |
//! | 4, 5 names of the slot, entry | [`Target::commit`], [`write_entry`] |
//! | 6 say that a reboot is wanted | [`crate::reboot`] |

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use agent_support::host::Host;
use agent_support::{esp, tries};
use anyhow::Context;
use disk_image::{Device as _, SlotIdentity, Uuid};
use payload::{Digest, Extent};
use slots::{EntryName, SlotLabel, TRIES_MAX, Version, part_uuids};
use verity::{BlockHasher, RootHash, Salt, Superblock, VerifiedTree};

use crate::disk::Disk;
use crate::entries::{self, Entries};
use crate::fetch::Head;
use crate::fetch::assemble::{Ask, Assembly, UsrBlocks};
use crate::fetch::spool::sha256_of;
use crate::source::{Limits, Source, Traffic};
use crate::status::Reporter;

/// Tries that a new version gets.
const TRIES: u32 = 3;
const _: () = assert!(TRIES <= TRIES_MAX);

/// The slot that is to be written, and what is known of the machine when it is.
#[derive(Debug)]
pub struct Target {
    /// Its disk.
    pub disk: Disk,
    /// The boot entries.
    pub entries: Entries,
}

/// Where `/usr` comes from beside the slots.
#[derive(Debug)]
pub struct Supply<'a> {
    /// A server or a file.
    pub source: &'a mut dyn Source,
    /// Patience and sizes of requests.
    pub limits: &'a Limits,
    /// What the network took.
    pub traffic: &'a Traffic,
}

impl Target {
    /// Finds the slot; refuses unless the version that runs is good, and where its root hash says it is.
    pub fn find(host: &Host) -> anyhow::Result<Self> {
        let entries = entries::look(host)?;
        entries.check_blessed()?;
        let disk = Disk::find(host, &running_root_hash(host)?)?;
        Ok(Self { disk, entries })
    }

    /// Removes the entries of other versions and makes their slot empty: from here on only the version that runs
    /// can be started.
    pub fn give_up(&mut self, host: &Host) -> anyhow::Result<()> {
        let others = &self.entries.others;
        if !others.is_empty() {
            let names: Vec<String> = others.iter().map(ToString::to_string).collect();
            esp::remove_files(host, entries::ENTRIES_DIR, &names)
                .context("removing the entry of the other slot")?;
        }
        self.disk.reread()?;
        let mut device = self.disk.open_for_writing()?;
        disk_image::empty_slot(&mut device, &mut self.disk.table, self.disk.target)
            .with_context(|| format!("emptying slot {}", self.disk.target_slot))
    }

    /// Writes `/usr` and its hash tree: blocks at their own place stay, blocks of the running slot are copied, the
    /// rest is fetched. Ends when everything is on the disk.
    pub fn fill(
        &self,
        head: &Head,
        tree: &VerifiedTree,
        supply: &mut Supply<'_>,
        reporter: &mut Reporter<'_>,
    ) -> anyhow::Result<()> {
        let (manifest, disk) = (&head.manifest, &self.disk);
        let salt = Salt(manifest.salt.0);
        let blocks = UsrBlocks::new(tree, BlockHasher::new(&salt))?;
        let usr = disk.write_partition(disk.target.usr, manifest.layout.usr.len)?;
        let mut assembly = Assembly::new(&blocks, usr);
        assembly.take_own(reporter).with_context(|| format!("looking at slot {}", disk.target_slot))?;
        match self.places_in_running(&salt) {
            Ok((places, len)) => {
                let old = disk.read_partition(disk.running.usr, len)?;
                assembly.take_old(old, &places, reporter).context("copying from the running slot")?;
            }
            // It is verified by the kernel as it runs; that we cannot read its tree only costs bytes.
            Err(err) => reporter.say(&format!("copying nothing from the running slot: {err:#}")),
        }
        let traffic = supply.traffic;
        let ask = Ask {
            section: manifest.layout.usr,
            padding: Extent { offset: manifest.layout.usr.end(), len: 0 },
            gap: supply.limits.gap,
            requests: supply.limits.requests_left(traffic.requests()),
        };
        assembly.take_remote(supply.source, &ask, reporter, &|| (traffic.bytes(), traffic.requests()))?;
        drop(assembly.finish()?);

        let superblock = Superblock { uuid: manifest.verity_uuid, n_data_blocks: tree.n_data_blocks(), salt };
        let len = manifest.layout.tree.len + payload::ALIGNMENT;
        let mut verity = disk.write_partition(disk.target.verity, len)?;
        let write = |verity: &mut disk_image::Window<File>| -> std::io::Result<()> {
            verity.seek(SeekFrom::Start(0))?;
            verity.write_all(&superblock.to_block())?;
            verity.write_all(tree.bytes())?;
            verity.sync()
        };
        write(&mut verity).with_context(|| format!("writing the hash tree of slot {}", disk.target_slot))
    }

    /// Reads the slot back from the disk and verifies every block against the root hash.
    pub fn verify(&self, head: &Head) -> anyhow::Result<()> {
        let (manifest, disk) = (&head.manifest, &self.disk);
        disk.forget_cached()?;
        let usr = disk.read_partition(disk.target.usr, manifest.layout.usr.len)?;
        let verity =
            disk.read_partition(disk.target.verity, manifest.layout.tree.len + payload::ALIGNMENT)?;
        verity::verify(usr, verity, &RootHash(manifest.root_hash.0))
            .with_context(|| format!("reading back slot {}", disk.target_slot))
    }

    /// Gives the slot its labels and UUIDs.
    pub fn commit(&mut self, head: &Head) -> anyhow::Result<()> {
        let (usr, verity) = part_uuids(&head.manifest.root_hash.0);
        let identity = SlotIdentity {
            usr_label: SlotLabel::Usr(head.version.clone()).to_string(),
            verity_label: SlotLabel::Verity(head.version.clone()).to_string(),
            usr_uuid: Uuid::from_bytes(usr.0),
            verity_uuid: Uuid::from_bytes(verity.0),
        };
        self.disk.reread()?;
        let mut device = self.disk.open_for_writing()?;
        disk_image::commit_slot(&mut device, &mut self.disk.table, self.disk.target, &identity)
            .with_context(|| format!("naming slot {}", self.disk.target_slot))
    }

    /// Returns where each block of the running slot lies, as its hash tree claims, and how long it is.
    fn places_in_running(&self, salt: &Salt) -> anyhow::Result<(HashMap<Digest, u64>, u64)> {
        let (usr, verity) =
            (self.disk.extent(self.disk.running.usr)?, self.disk.extent(self.disk.running.verity)?);
        let device = self.disk.read_partition(self.disk.running.verity, verity.len)?;
        let device = std::io::BufReader::with_capacity(64 << 10, device);
        let leaves = verity::read_leaves(device, usr.len / payload::ALIGNMENT)?;
        anyhow::ensure!(leaves.superblock.salt == *salt, "its salt differs from the payload's");
        let len = leaves.superblock.n_data_blocks * payload::ALIGNMENT;
        let offsets = (0..).map(|idx: u64| idx * payload::ALIGNMENT);
        Ok((leaves.digests.into_iter().map(Digest).zip(offsets).collect(), len))
    }
}

/// Puts a UKI on the ESP as the entry of `version`, whole or not at all.
pub fn write_entry(
    host: &Host,
    product: &str,
    version: &Version,
    uki: &Path,
    sha256: Digest,
) -> anyhow::Result<EntryName> {
    let entry = EntryName::counted(product, version.clone(), TRIES);
    let write = || {
        // What earlier tries of the version left says nothing of these.
        tries::clear_on_esp(host, &version.to_string())?;
        let mut from = File::open(uki).with_context(|| format!("opening {}", uki.display()))?;
        esp::put_file(host, entries::ENTRIES_DIR, &entry.to_string(), &mut from, |back| {
            let found = sha256_of(back)?;
            anyhow::ensure!(found == sha256, "expected SHA-256 {sha256}, found {found}");
            Ok(())
        })
    };
    write().with_context(|| format!("writing the entry {entry}"))?;
    Ok(entry)
}

/// Returns the root hash that runs.
pub fn running_root_hash(host: &Host) -> anyhow::Result<[u8; 32]> {
    let text = host.root_hash()?.context("the kernel command line has no usrhash=: /usr is not verified")?;
    let hash: RootHash = text.parse().with_context(|| format!("parsing usrhash={text}"))?;
    Ok(hash.0)
}

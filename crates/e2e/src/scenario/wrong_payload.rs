//! Payloads with one thing wrong, offered by hand.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, ensure};
use payload::{Digest, Envelope, Kind, SecretKey, seal};

use crate::guest::Guest;
use crate::image::Image;
use crate::lab::Lab;
use crate::offline::Disk;
use crate::site::Site;
use crate::variant;

/// F06: offers them one after another; each is refused by the check that it is for, and nothing that the machine needs
/// has changed then: partition table, EFI system partition, the slot that runs.
pub fn changes_nothing(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    let (first, next) = (&lab.setup.image, lab.next_image()?);
    let site = Site::start(lab)?;
    guest.settled()?;
    let (manifest, head) = variant::head(&next.payload)?;
    let layout = &manifest.layout;
    let path = site.payload("wrong.payload");
    fs::copy(&next.payload, &path).with_context(|| format!("copying {}", next.payload.display()))?;
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let url = format!("{}/payloads/wrong.payload", site.url());
    // The first time in a day that a file is read, its entry gets the date.
    guest.root("find /efi -type f -exec cat {} + > /dev/null")?;
    // It asks the agent again whenever the agent's state has changed; that mounts the EFI system partition.
    guest.root("systemctl stop locksmithd.service")?;
    let before = picture(lab, guest)?;
    let refused = |what: &str, check: &str| -> anyhow::Result<()> {
        let out = guest.try_root(&format!("slipway-update apply --payload {url}"))?;
        let said = format!("{} {}", out.stdout, out.stderr);
        ensure!(out.status == 1 && said.contains(check), "{what}: ended with {}: {said}", out.status);
        lab.say(&format!("{what}: {}", out.stderr.lines().last().unwrap_or("")));
        for (before, after) in before.iter().zip(picture(lab, guest)?) {
            ensure!(*before == after, "{what} changed the {}", before.0);
        }
        Ok(())
    };

    let envelope = Envelope::parse(Kind::Payload, &head)?;
    let stranger = seal(Kind::Payload, envelope.body, &[SecretKey::from_seed([9; 32])])?;
    with(&file, 0, &stranger, || refused("signed by another key", "no trusted key signed it"))?;
    let places = [
        ("a byte of the header", 0, "no update payload"),
        ("a byte of the manifest", 60, "does not verify"),
        ("a byte of the signature", u64::try_from(head.len())? - 1, "does not verify"),
        ("a byte of the block list", layout.uki_blocks.offset + 9, "section `uki_blocks`: expected SHA-256"),
        ("a byte of the UKI", layout.uki.offset + root_hash_in_uki(next)?, "of `uki`: expected hash"),
        ("a byte of the hash tree", layout.tree.offset, "of `tree`: expected hash"),
        ("a byte of /usr", variant::first_new_block(first, next)? + 7, "of `usr`: expected hash"),
    ];
    for (what, at, check) in places {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        with(&file, at, &[byte[0] ^ 1], || refused(what, check))?;
    }
    let len = file.metadata()?.len();
    file.set_len(len - 4096)?;
    refused("a short file", "length of the payload: expected")?;
    file.set_len(len + 1)?;
    refused("a byte too many", "length of the payload: expected")?;
    fs::remove_file(&path).context("removing the wrong payload")?;
    guest.root("systemctl start locksmithd.service").map(drop)
}

/// Returns where the UKI names the root hash: there it is like no other version's, and has to be fetched.
fn root_hash_in_uki(image: &Image) -> anyhow::Result<u64> {
    let uki = fs::read(&image.uki).with_context(|| format!("reading {}", image.uki.display()))?;
    let hash = image.root_hash.as_bytes();
    let at = uki.windows(hash.len()).position(|window| window == hash).context("no root hash in the UKI")?;
    Ok(u64::try_from(at)?)
}

/// Runs `what` while `bytes` are at `at`, and puts back what was there.
fn with(file: &File, at: u64, bytes: &[u8], what: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut good = vec![0; bytes.len()];
    file.read_exact_at(&mut good, at)?;
    file.write_all_at(bytes, at)?;
    let res = what();
    file.write_all_at(&good, at)?;
    res
}

/// Returns what must stay, and fingerprints of it.
fn picture(lab: &Lab, guest: &Guest) -> anyhow::Result<Vec<(&'static str, Digest)>> {
    // Mounted for writing, a FAT says so in its first sector.
    guest.root("systemctl stop efi.mount; sync")?;
    let mut disk = Disk::open(guest.home())?;
    let [table, backup] = disk.table_places()?;
    let running = disk.slot_of(&lab.setup.image)?;
    let places = [("table", table), ("backup table", backup), ("ESP", disk.esp()?), ("slot", running)];
    places.into_iter().map(|(name, place)| Ok((name, disk.fingerprint(place)?))).collect()
}

//! Versions for tests: small images that share most of their blocks, and payloads of them.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::Cursor;

use payload::{BlockList, Channel, Kind, Manifest, Parts, SecretKey, seal};
use verity::{RootHash, Salt};

use super::images::pe;

/// Blocks of `/usr`: more than one block of leaves.
pub const USR_BLOCKS: usize = 300;
/// Blocks of the kernel.
const KERNEL_BLOCKS: usize = 60;
pub const PRODUCT: &str = "slipway";
pub const BUILD_TIME: u64 = 1_700_000_000;
const SALT: Salt = Salt([5; 32]);

/// A version as the build makes it.
#[derive(Clone, Debug)]
pub struct Release {
    pub version: String,
    pub usr: Vec<u8>,
    pub tree: Vec<u8>,
    pub root: RootHash,
    pub uki: Vec<u8>,
    pub loader: Vec<u8>,
}

/// One block of pseudo-random bytes.
fn block(seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(4096);
    while bytes.len() < 4096 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes.extend_from_slice(&x.to_le_bytes());
    }
    bytes
}

/// A version whose blocks `changed` differ from those of every other version.
pub fn release(version: &str, changed: std::ops::Range<usize>) -> Release {
    let own: u64 = version.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte));
    let content = |base: u64, count: usize| -> Vec<u8> {
        let seed = |idx: usize| {
            base + u64::try_from(idx).unwrap() + if changed.contains(&idx) { own << 20 } else { 0 }
        };
        (0..count).flat_map(|idx| block(seed(idx))).collect()
    };
    let usr = content(1000, USR_BLOCKS);
    let mut tree = Cursor::new(Vec::new());
    let root = verity::build_tree(&usr[..], u64::try_from(USR_BLOCKS).unwrap(), &SALT, &mut tree).unwrap();
    let cmdline = format!("gpt usrhash={root} quiet\n");
    let kernel = content(900_000, KERNEL_BLOCKS);
    let uki = pe(&[(".cmdline", cmdline.as_bytes()), (".linux", &kernel), (".initrd", b"070701")]);
    let loader =
        format!("MZ #### LoaderInfo: systemd-boot 257.{} ####\0", version.replace('~', "")).into_bytes();
    Release { version: version.to_owned(), usr, tree: tree.into_inner(), root, uki, loader }
}

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// The payload of a version, and its manifest.
pub fn payload(release: &Release, keys: &[SecretKey]) -> (Manifest, Vec<u8>) {
    payload_for(release, PRODUCT, "0.1.0", keys)
}

pub fn payload_for(
    release: &Release,
    product: &str,
    min_from: &str,
    keys: &[SecretKey],
) -> (Manifest, Vec<u8>) {
    let head = &release.uki[..release.uki.len().min(uki::HEAD_LEN)];
    let starts = uki::section_starts(head, u64::try_from(release.uki.len()).unwrap()).unwrap();
    let blocks = BlockList::of(&release.uki, starts).unwrap();
    let parts = Parts {
        product,
        version: &release.version,
        min_from,
        build_time: BUILD_TIME,
        root_hash: release.root.0,
        salt: SALT.0,
        verity_uuid: [3; 16],
        uki: &release.uki,
        uki_blocks: &blocks,
        loader: &release.loader,
        tree: &release.tree,
        usr: &release.usr[..],
        usr_len: u64::try_from(release.usr.len()).unwrap(),
    };
    let mut bytes = Vec::new();
    let manifest = payload::write(parts, keys, &mut bytes).unwrap();
    (manifest, bytes)
}

/// Superblock and tree, as on the verity partition.
pub fn verity_device(release: &Release) -> Vec<u8> {
    let n_data_blocks = u64::try_from(USR_BLOCKS).unwrap();
    let superblock = verity::Superblock { uuid: [3; 16], n_data_blocks, salt: SALT };
    [&superblock.to_block()[..], &release.tree].concat()
}

/// What a channel offers: `stable`, valid for ever, all machines at once.
pub fn channel(manifest: &Manifest, sequence: u64) -> Channel {
    let now = agent_support::boot::now();
    Channel {
        product: PRODUCT.to_owned(),
        channel: "stable".to_owned(),
        version: manifest.version.clone(),
        sequence,
        issued: now - 100,
        expires: now + 100_000,
        locations: vec![format!("../p/{}.payload", manifest.version)],
        manifest_sha256: payload::Digest::of(&manifest.to_json()),
        payload_len: manifest.layout.total(),
        waves: vec![],
    }
}

pub fn sealed_channel(channel: &Channel, keys: &[SecretKey]) -> Vec<u8> {
    seal(Kind::Channel, &channel.to_json(), keys).unwrap()
}

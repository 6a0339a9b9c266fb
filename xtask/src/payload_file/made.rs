//! Small payloads for tests, made by the stage's own writer of files made up here.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use payload::SecretKey;

use crate::stage::payload::{Sources, write};

/// Seed of the key that signs.
pub const SEED: u8 = 7;
/// So many that the leaves fill more than one block of the tree.
const USR_BLOCKS: u64 = 130;

/// A payload in memory.
pub struct Made {
    /// Its bytes.
    pub bytes: Vec<u8>,
    version: String,
}

impl Made {
    /// Makes one that holds little more than its version.
    pub fn new(version: &str) -> Self {
        Self::signed_by(version, SEED)
    }

    /// The same, signed by another key.
    pub fn signed_by(version: &str, seed: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut usr = version.as_bytes().to_vec();
        usr.resize(usize::try_from(USR_BLOCKS).unwrap() * verity::BLOCK_SIZE, 3);
        let mut tree = Cursor::new(vec![]);
        let salt = verity::Salt([5; 32]);
        let root = verity::build(usr.as_slice(), USR_BLOCKS, &salt, [6; 16], &mut tree).unwrap();
        fs::write(path("usr"), usr).unwrap();
        fs::write(path("verity"), tree.into_inner()).unwrap();
        fs::write(path("uki"), pe(&[(".text", b"code"), (".linux", &[0x5a; 5000])])).unwrap();
        fs::write(path("loader"), b"#### LoaderInfo: systemd-boot 257 ####").unwrap();
        let mut bytes = vec![];
        let sources = Sources {
            product: "slipway",
            version: &version.parse().unwrap(),
            min_from: &"0.1.0".parse().unwrap(),
            build_time: 1_700_000_000,
            root_hash: &root.to_string(),
            uki: &path("uki"),
            loader: &path("loader"),
            verity: &path("verity"),
            usr: &path("usr"),
        };
        write(&sources, &[SecretKey::from_seed([seed; 32])], &mut bytes).unwrap();
        Self { bytes, version: version.to_owned() }
    }

    /// Writes it into a folder, under the name that a build gives.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join(format!("slipway_{}.payload", self.version));
        // A new file: one of that name may have a second name where it was published.
        if path.exists() {
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, &self.bytes).unwrap();
        path
    }
}

/// A PE32+ file with these sections.
fn pe(sections: &[(&str, &[u8])]) -> Vec<u8> {
    const COFF_AT: usize = 0x44;
    const OPTIONAL_AT: usize = COFF_AT + 20;
    const TABLE_AT: usize = OPTIONAL_AT + 240;
    let mut out = vec![0; 0x400];
    fn put(out: &mut [u8], at: usize, value: &[u8]) {
        out[at..at + value.len()].copy_from_slice(value);
    }
    put(&mut out, 0, b"MZ");
    put(&mut out, 60, &[0x40]);
    put(&mut out, 0x40, b"PE\0\0");
    put(&mut out, COFF_AT, &[0x64, 0x86, u8::try_from(sections.len()).unwrap()]);
    put(&mut out, COFF_AT + 16, &[240, 0, 0x2e, 2]);
    put(&mut out, OPTIONAL_AT, &[0x0b, 2]);
    put(&mut out, OPTIONAL_AT + 32, &0x1000_u32.to_le_bytes());
    put(&mut out, OPTIONAL_AT + 36, &0x200_u32.to_le_bytes());
    put(&mut out, OPTIONAL_AT + 60, &0x400_u32.to_le_bytes());
    put(&mut out, OPTIONAL_AT + 108, &16_u32.to_le_bytes());
    let mut address = 0x1000_u32;
    for (idx, (name, content)) in sections.iter().enumerate() {
        let at = TABLE_AT + idx * 40;
        let len = u32::try_from(content.len()).unwrap();
        let (raw_at, raw_len) = (u32::try_from(out.len()).unwrap(), len.next_multiple_of(0x200));
        put(&mut out, at, name.as_bytes());
        for (field, value) in [(8, len), (12, address), (16, raw_len), (20, raw_at), (36, 0x4000_0040)] {
            put(&mut out, at + field, &value.to_le_bytes());
        }
        out.extend_from_slice(content);
        out.resize(usize::try_from(raw_at + raw_len).unwrap(), 0);
        address += len.next_multiple_of(0x1000);
    }
    put(&mut out, OPTIONAL_AT + 56, &address.to_le_bytes());
    out
}

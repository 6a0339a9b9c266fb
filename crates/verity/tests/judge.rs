//! The real `veritysetup` accepts our trees and finds what we find.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "judges/programs.rs"]
mod programs;

use std::fs::{self, File};
use std::io::Read;

use programs::{judge, judge_accepts};
use verity::{RootHash, Salt, build, verify};

const N_BLOCKS: u64 = 1000;

fn made(dir: &tempfile::TempDir) -> (String, String, RootHash) {
    let path = |name| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, device) = (path("data"), path("hash"));
    let mut bytes = vec![];
    std::io::repeat(0x5a).take(N_BLOCKS * 4096).read_to_end(&mut bytes).unwrap();
    bytes.iter_mut().step_by(1021).enumerate().for_each(|(i, byte)| *byte = u8::try_from(i % 251).unwrap());
    fs::write(&data, &bytes).unwrap();
    let out = File::create(&device).unwrap();
    let root = build(&bytes[..], N_BLOCKS, &Salt([9; 32]), [7; 16], out).unwrap();
    (data, device, root)
}

#[test]
fn veritysetup_accepts_our_tree() {
    let dir = tempfile::tempdir().unwrap();
    let (data, device, root) = made(&dir);
    judge_accepts("veritysetup", &["verify", &data, &device, &root.to_string()]);
    let Some(dump) = judge_accepts("veritysetup", &["dump", &device]) else { return };
    for expected in ["UUID:            \t07070707-0707-0707-0707-070707070707", "Data blocks:     \t1000"] {
        assert!(dump.contains(expected), "{dump}");
    }
}

#[test]
fn veritysetup_and_we_reject_the_same_flipped_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (data, device, root) = made(&dir);
    let mut bytes = fs::read(&data).unwrap();
    bytes[777 * 4096 + 5] ^= 0x10;
    fs::write(&data, &bytes).unwrap();
    assert!(verify(&bytes[..], File::open(&device).unwrap(), &root).is_err());
    let Some(output) = judge("veritysetup", &["verify", &data, &device, &root.to_string()]) else { return };
    assert!(!output.status.success());
}

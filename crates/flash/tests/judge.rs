//! Others' programs accept a flashed device: `sgdisk`, `sfdisk`, `fsck.fat`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/image.rs"]
mod image;
#[path = "../../verity/tests/judges/programs.rs"]
mod programs;

use std::fs::{self, File};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use disk_image::{LogicalBlockSize, Window};
use flash::open::{Opened, look};
use flash::write;
use image::{LARGE, composed_bytes, extents, plan, surveyed_in};
use programs::judge_accepts;

#[test]
fn a_flashed_device_is_accepted() {
    check(&image::image(LARGE), LogicalBlockSize::Lb512);
}

#[test]
fn a_device_that_is_laid_anew_is_accepted_with_either_block_size() {
    for block_size in [LogicalBlockSize::Lb512, LogicalBlockSize::Lb4096] {
        check(&composed_bytes(LARGE, block_size), block_size);
    }
}

#[track_caller]
fn check(image: &[u8], block_size: LogicalBlockSize) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name).to_str().unwrap().to_owned();
    let (disk, part) = (path("disk"), path("fat"));
    // Old bytes, and a length that is no multiple of a MiB.
    fs::write(&disk, vec![0xff; 120 << 20]).unwrap();
    let len = (flash::LEN_MIN + 5 * 512).next_multiple_of(block_size.as_u64());
    File::options().write(true).open(&disk).unwrap().set_len(len).unwrap();
    let mut opened = Opened::open(&look(Path::new("/"), Path::new(&disk), &[512]).unwrap()).unwrap();
    let plan = plan(&surveyed_in(image, block_size), opened.device_len(), 1);
    write(&mut opened, &mut &image[..], &plan, &mut |_| ControlFlow::Continue(())).unwrap();
    // sgdisk knows other blocks than those of 512 bytes on devices alone.
    if block_size == LogicalBlockSize::Lb512
        && let Some(said) = judge_accepts("sgdisk", &["-v", &disk])
    {
        // sgdisk exits with 0 whatever it finds.
        assert!(said.contains("No problems found"), "{said}");
    }
    let size = block_size.as_u64().to_string();
    judge_accepts("sfdisk", &["--sector-size", &size, "--verify", &disk]);
    if let Some(dump) = judge_accepts("sfdisk", &["--sector-size", &size, "--dump", &disk]) {
        let first = 2 + (128 * 128_u64).div_ceil(block_size.as_u64());
        for expected in
            [format!("sector-size: {size}"), format!("first-lba: {first}\n"), "name=\"oem\"".into()]
        {
            assert!(dump.contains(&expected), "{dump}");
        }
    }
    for idx in [0, 5] {
        let mut bytes = vec![];
        Window::new(&mut opened, extents(LARGE)[idx]).read_to_end(&mut bytes).unwrap();
        fs::write(&part, bytes).unwrap();
        if let Some(said) = judge_accepts("fsck.fat", &["-n", "-v", &part]) {
            // Some differences are only told, with exit code 0.
            for sign in ["uninitialized", "wrong", "differences", "irty", "Auto", "Start cluster"] {
                assert!(!said.contains(sign), "{said}");
            }
            assert!(said.contains(&format!("{size} bytes per logical sector")), "{said}");
        }
    }
}

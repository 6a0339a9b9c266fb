//! Others' programs accept a flashed device: `sgdisk`, `sfdisk`, `fsck.fat`.

#[path = "support/image.rs"]
mod image;
#[path = "../../verity/tests/judges/programs.rs"]
mod programs;

use std::fs::{self, File};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use disk_image::Window;
use flash::open::{Opened, look};
use flash::write;
use image::{LARGE, extents, plan, surveyed};
use programs::judge_accepts;

#[test]
fn a_flashed_device_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name).to_str().unwrap().to_owned();
    let (disk, part) = (path("disk"), path("fat"));
    // Old bytes, and a length that is no multiple of a MiB.
    fs::write(&disk, vec![0xff; 120 << 20]).unwrap();
    File::options().write(true).open(&disk).unwrap().set_len(flash::LEN_MIN + 5 * 512).unwrap();
    let image = image::image(LARGE);
    let mut opened = Opened::open(&look(Path::new("/"), Path::new(&disk)).unwrap()).unwrap();
    let plan = plan(&surveyed(&image), opened.device_len(), 1);
    write(&mut opened, &mut &image[..], &plan, &mut |_| ControlFlow::Continue(())).unwrap();
    if let Some(said) = judge_accepts("sgdisk", &["-v", &disk]) {
        // sgdisk exits with 0 whatever it finds.
        assert!(said.contains("No problems found"), "{said}");
    }
    judge_accepts("sfdisk", &["--verify", &disk]);
    for idx in [0, 5] {
        let mut bytes = vec![];
        Window::new(&mut opened, extents(LARGE)[idx]).read_to_end(&mut bytes).unwrap();
        fs::write(&part, bytes).unwrap();
        if let Some(said) = judge_accepts("fsck.fat", &["-n", "-v", &part]) {
            // Some differences are only told, with exit code 0.
            for sign in ["uninitialized", "wrong", "differences", "irty", "Auto", "Start cluster"] {
                assert!(!said.contains(sign), "{said}");
            }
        }
    }
}

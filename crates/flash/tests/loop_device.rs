//! The same on a real block device: a loop device, where this machine lets us have one.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/image.rs"]
mod image;

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use disk_image::{LogicalBlockSize, Source, Table};
use flash::open::{OpenError, Opened, look};
use flash::{Refusal, content, write};
use image::{SMALL, plan, surveyed};

/// An attached loop device.
struct Loop(String);

impl Loop {
    /// Attaches a file, or says why that cannot be tried here.
    fn attach(file: &Path, options: &[&str]) -> Option<Self> {
        let output = Command::new("losetup").args(["--find", "--show"]).args(options).arg(file).output();
        let said = match &output {
            Ok(output) if output.status.success() => {
                return Some(Self(String::from_utf8_lossy(&output.stdout).trim().to_owned()));
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(err) => err.to_string(),
        };
        println!("skipped: no loop device can be had here: {said}");
        None
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let status = Command::new("losetup").args(["--detach", &self.0]).status();
        assert!(status.unwrap().success());
    }
}

fn disk() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    File::create(&path).unwrap().set_len(flash::LEN_MIN).unwrap();
    (dir, path)
}

#[test]
fn a_loop_device_is_flashed_and_nobody_else_has_it_meanwhile() {
    let (_dir, path) = disk();
    let image = image::image(SMALL);
    {
        let Some(device) = Loop::attach(&path, &[]) else { return };
        let named = look(Path::new("/"), Path::new(&device.0), &[512]).unwrap();
        assert_eq!(named.refusals, []);
        assert_eq!(format!("/dev/{}", named.name), device.0);
        let mut opened = Opened::open(&named).unwrap();
        assert_eq!(opened.device_len(), flash::LEN_MIN);
        let again = Opened::open(&named).unwrap_err();
        assert!(matches!(again, OpenError::Refused(Refusal::Busy)), "{again}");
        let plan = plan(&surveyed(&image), opened.device_len(), 1);
        write(&mut opened, &mut &image[..], &plan, &mut |_| ControlFlow::Continue(())).unwrap();
        let found = content::look(&mut opened, LogicalBlockSize::Lb512).unwrap().to_string();
        assert!(found.starts_with("GPT: esp (8 MiB, vfat `ESP`), usr_1.2.3 (4 MiB)"), "{found}");
        // Its file may not be flashed beside it.
        let named = look(Path::new("/"), &path, &[512]).unwrap();
        assert_eq!(named.refusals, [Refusal::FileInUse { by: device.0.clone() }]);
    }
    let table = Table::read(&mut File::open(&path).unwrap(), LogicalBlockSize::Lb512).unwrap();
    assert_eq!(table.source(), Source::Primary);
    partitions_are_refused(&path);
}

/// The kernel knows the partitions of what was flashed.
fn partitions_are_refused(path: &Path) {
    let Some(device) = Loop::attach(path, &["--partscan"]) else { return };
    let partition = format!("{}p1", device.0);
    if !Path::new(&partition).exists() {
        println!("skipped: this kernel looks for no GPT, there is no {partition}");
        return;
    }
    let named = look(Path::new("/"), Path::new(&partition), &[512]).unwrap();
    let disk = device.0.trim_start_matches("/dev/").to_owned();
    assert_eq!(named.refusals, [Refusal::Partition { disk }]);
}

#[test]
fn read_only_devices_and_blocks_of_4096_bytes_are_refused() {
    let (_dir, path) = disk();
    for (options, expected) in [
        (["--read-only"], Refusal::ReadOnly),
        (["--sector-size=4096"], Refusal::BlockSize { found: 4096, takes: &[512] }),
    ] {
        let Some(device) = Loop::attach(&path, &options) else { return };
        let named = look(Path::new("/"), Path::new(&device.0), &[512]).unwrap();
        assert_eq!(named.refusals, [expected]);
    }
}

#[test]
fn a_file_is_flashed_read_back_and_stays_sparse() {
    use std::os::unix::fs::MetadataExt as _;
    let (_dir, path) = disk();
    let image = image::image(SMALL);
    let named = look(Path::new("/"), &path, &[512]).unwrap();
    assert_eq!(named.refusals, []);
    let mut opened = Opened::open(&named).unwrap();
    let plan = plan(&surveyed(&image), opened.device_len(), 1);
    let written = write(&mut opened, &mut &image[..], &plan, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(written.written < 64 << 20, "{written:?}");
    let meta = fs::metadata(&path).unwrap();
    assert!(meta.blocks() * 512 < 64 << 20 && meta.len() == flash::LEN_MIN);
    assert!(opened.is_file(&meta).unwrap());
}

//! Others' programs accept our disks: `sgdisk`, `sfdisk`, `fsck.fat`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/cut_fat.rs"]
mod cut_fat;
#[path = "support/disks.rs"]
mod disks;
#[path = "../../verity/tests/judges/programs.rs"]
mod programs;

use std::fs::{self, File};
use std::io::{Cursor, Read as _, Seek as _, SeekFrom, Write as _};

use disk_image::LogicalBlockSize::{Lb512, Lb4096};
use disk_image::fat::{self, FatSpec};
use disk_image::{DiskPlan, Extent, LogicalBlockSize, Table, Unsynced, randomize_identity, write_table};
use disks::{MIB, plan};
use programs::{judge, judge_accepts};

/// The sizes of a real disk: the file is sparse.
fn real_plan() -> DiskPlan {
    let mut plan = plan(3072, Lb512);
    let sizes = [512, 1024, 16, 1024, 16, 64];
    plan.partitions.iter_mut().zip(sizes).for_each(|(partition, mib)| partition.size_bytes = mib * MIB);
    plan
}

fn sparse(path: &str, size: u64) -> File {
    let file = File::create_new(path).unwrap();
    file.set_len(size).unwrap();
    file
}

fn spec(label: &str, block_size: LogicalBlockSize) -> FatSpec {
    FatSpec { label: label.to_owned(), serial: 0xcafe_f00d, mtime_secs: 1_700_000_000, block_size }
}

#[track_caller]
fn check_table(disk: &str) {
    if let Some(said) = judge_accepts("sgdisk", &["-v", disk]) {
        // sgdisk exits with 0 whatever it finds.
        assert!(said.contains("No problems found"), "{said}");
    }
    judge_accepts("sfdisk", &["--verify", disk]);
}

/// Copies a part of the disk to a file and leaves holes where it is zero.
fn copy_part(disk: &mut File, extent: Extent, path: &str) {
    let mut part = File::create(path).unwrap();
    part.set_len(extent.len).unwrap();
    let (mut window, mut buffer) = (disk_image::Window::new(disk, extent), vec![0; 64 << 10]);
    for at in (0..extent.len).step_by(buffer.len()) {
        window.read_exact(&mut buffer).unwrap();
        if buffer.iter().any(|byte| *byte != 0) {
            part.seek(SeekFrom::Start(at)).unwrap();
            part.write_all(&buffer).unwrap();
        }
    }
}

#[track_caller]
fn check_fat(disk: &mut File, extent: Extent, path: &str) {
    copy_part(disk, extent, path);
    if let Some(said) = judge_accepts("fsck.fat", &["-n", "-v", path]) {
        // Some differences are only told, with exit code 0.
        for sign in ["uninitialized", "wrong", "differences", "irty", "Auto", "Start cluster"] {
            assert!(!said.contains(sign), "{said}");
        }
    }
}

#[test]
fn a_whole_disk_is_accepted_before_and_after_new_identity_and_growth() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name).to_str().unwrap().to_owned();
    let (disk, part) = (path("disk"), path("fat"));
    let plan = real_plan();
    let mut dev = Unsynced(sparse(&disk, plan.size_bytes));
    let extents = write_table(&mut dev, &plan).unwrap();
    let uki = vec![0x5a; 3_000_001];
    let esp: [(&str, &[u8]); 4] = [
        ("EFI/BOOT/BOOTX64.EFI", &uki[..100_000]),
        ("EFI/systemd/systemd-bootx64.efi", &uki[..100_000]),
        ("EFI/Linux/slipway_0.1.0~rc.1+3-0.efi", &uki),
        ("loader/loader.conf", b"timeout 0\n"),
    ];
    fat::format(&mut dev, extents[0], &spec("ESP", Lb512), esp).unwrap();
    fat::format(&mut dev, extents[5], &spec("OEM", Lb512), [("cloud-config.yml", &b"#cloud-config\n"[..])])
        .unwrap();
    check_table(&disk);
    check_fat(&mut dev.0, extents[0], &part);
    check_fat(&mut dev.0, extents[5], &part);

    if let Some(dump) = judge_accepts("sfdisk", &["--dump", &disk]) {
        assert!(dump.contains("label-id: 00000000-0000-0000-0000-00000000D15C"), "{dump}");
        let usr = "type=8484680C-9521-48C6-9C11-B0720656F69E, uuid=00000000-0000-0000-0000-0000000000A1, \
                   name=\"usr_0.1.0\"";
        assert!(dump.contains(usr), "{dump}");
    }
    if let Some(listing) = judge_accepts("sfdisk", &["--list", "--output", "Type", &disk]) {
        for name in
            ["EFI System", "Linux /usr (x86-64)", "Linux /usr verity (x86-64)", "Microsoft basic data"]
        {
            assert!(listing.contains(name), "{listing}");
        }
    }

    fat::write_file_durable(&mut dev, extents[0], "EFI/Linux/slipway_0.2.0+3.efi", &uki, 1_700_000_002)
        .unwrap();
    fat::rename(&mut dev, extents[0], "EFI/Linux/slipway_0.2.0+3.efi", "EFI/Linux/slipway_0.2.0+2-1.efi")
        .unwrap();
    fat::remove(&mut dev, extents[0], "EFI/Linux/slipway_0.1.0~rc.1+3-0.efi").unwrap();
    dev.0.set_len(plan.size_bytes + 100 * MIB).unwrap();
    let mut counter = 0;
    randomize_identity(&mut dev, Lb512, |buf| {
        counter += 1;
        buf.fill(counter);
        Ok(())
    })
    .unwrap();
    check_table(&disk);
    check_fat(&mut dev.0, extents[0], &part);
    check_fat(&mut dev.0, extents[5], &part);
}

#[test]
fn fat_on_4096_byte_blocks_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name).to_str().unwrap().to_owned();
    let extent = Extent { offset: 0, len: 512 * MIB };
    let mut dev = sparse(&path("disk"), extent.len);
    fat::format(&mut dev, extent, &spec("ESP", Lb4096), [("EFI/Linux/a.efi", &[1; 10_000][..])]).unwrap();
    check_fat(&mut dev, extent, &path("fat"));
}

#[test]
fn we_read_and_keep_what_sgdisk_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk").to_str().unwrap().to_owned();
    drop(sparse(&disk, 64 * MIB));
    // Number 3 is left out, 2 has attribute bits, 5 a name beyond ASCII.
    let args = ["-n1:2048:4095", "-c1:first", "-n2:4096:8191", "-A2:set:60", "-A2:set:2", "-n5:8192:9000"];
    let Some(_) = judge_accepts("sgdisk", &[&args[..], &["-c5:größe", &disk]].concat()) else { return };
    let mut dev = fs::OpenOptions::new().read(true).write(true).open(&disk).unwrap();
    let mut table = Table::read(&mut dev, Lb512).unwrap();
    let found: Vec<_> = table.partitions().into_iter().map(|p| (p.number, p.label, p.attributes)).collect();
    let expected =
        [(1, "first".to_owned(), 0), (2, String::new(), 1 << 60 | 1 << 2), (5, "größe".to_owned(), 0)];
    assert_eq!(found[0], expected[0]);
    assert_eq!((found[1].0, found[1].2), (2, expected[1].2));
    assert_eq!(found[2], expected[2]);
    table.set_label(2, "second").unwrap();
    table.write(&mut dev).unwrap();
    check_table(&disk);
    let said = judge_accepts("sgdisk", &["-i2", &disk]).unwrap();
    assert!(said.contains("'second'") && said.contains("Attribute flags: 1000000000000004"), "{said}");
}

#[test]
fn sgdisk_reads_the_backup_we_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk").to_str().unwrap().to_owned();
    let mut dev = Cursor::new(vec![0; 96 << 20]);
    write_table(&mut dev, &plan(96, Lb512)).unwrap();
    dev.get_mut()[512..1024].fill(0);
    fs::write(&disk, dev.into_inner()).unwrap();
    let Some(output) = judge("sgdisk", &["-p", &disk]) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("usr_0.1.0_verity"), "{said}");
}

/// What fsck.fat says of the volume of `cut_fat` before and after the repair.
#[track_caller]
fn check_repaired(break_it: impl FnOnce(&mut File), complaint: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name).to_str().unwrap().to_owned();
    let (disk, part) = (path("disk"), path("fat"));
    let mut dev = sparse(&disk, cut_fat::ESP.end());
    cut_fat::fill(&mut dev);
    break_it(&mut dev);
    let judged = |dev: &mut File| {
        copy_part(dev, cut_fat::ESP, &part);
        let output = judge("fsck.fat", &["-n", &part])?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(before) = judged(&mut dev) else { return };
    assert!(before.contains(complaint), "{before}");
    assert!(!fat::repair_names(&mut dev, cut_fat::ESP).unwrap().is_empty());
    fat::settle(&mut dev, cut_fat::ESP).unwrap();
    check_fat(&mut dev, cut_fat::ESP, &path("fat"));
}

#[test]
fn fsck_takes_a_name_that_was_written_anew() {
    use cut_fat::{BLESSED, COUNTED, LINUX};
    for to in [BLESSED, "slipway_0.1.1~a.very.long.word.1+999-999.efi"] {
        let dir = tempfile::tempdir().unwrap();
        let path = |name| dir.path().join(name).to_str().unwrap().to_owned();
        let mut dev = sparse(&path("disk"), cut_fat::ESP.end());
        cut_fat::fill(&mut dev);
        fat::rename_whole(&mut dev, cut_fat::ESP, LINUX, COUNTED, to).unwrap();
        check_fat(&mut dev, cut_fat::ESP, &path("fat"));
    }
}

#[test]
fn fsck_takes_files_that_were_put_replaced_and_removed() {
    use cut_fat::{COUNTED, ESP, LINUX, OLD};
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name).to_str().unwrap().to_owned();
    let mut dev = sparse(&path("disk"), ESP.end());
    cut_fat::fill(&mut dev);
    for name in ["slipway_0.2.0+3.efi", OLD] {
        let stored = fat::store(&mut dev, ESP, &mut &[7; 1_000_001][..], 1_000_001).unwrap();
        fat::put_whole(&mut dev, ESP, LINUX, name, &stored).unwrap();
        check_fat(&mut dev, ESP, &path("fat"));
    }
    fat::make_folders(&mut dev, ESP, "slipway/failures").unwrap();
    check_fat(&mut dev, ESP, &path("fat"));
    fat::remove_whole(&mut dev, ESP, "", &["slipway"]).unwrap();
    fat::remove_whole(&mut dev, ESP, LINUX, &[COUNTED]).unwrap();
    check_fat(&mut dev, ESP, &path("fat"));
}

#[test]
fn fsck_finds_nothing_after_a_repair() {
    use cut_fat::{BLESSED, COUNTED, LINUX, name};
    check_repaired(|dev| cut_fat::add_shared(dev, COUNTED, BLESSED), "share clusters");
    check_repaired(
        |dev| {
            let first = name(dev, LINUX, COUNTED).first_cluster;
            cut_fat::free_cluster(dev, first);
        },
        "Contains a free cluster",
    );
    check_repaired(
        |dev| {
            let folder = name(dev, "slipway/tries", "0.1.1");
            cut_fat::free_cluster(dev, folder.first_cluster);
        },
        "Contains a free cluster",
    );
}

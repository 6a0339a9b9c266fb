//! A small image of ours in memory, and the plan for a device.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::{Cursor, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;

use disk_image::fat::{self, FatSpec};
use disk_image::{
    DiskPlan, Extent, LogicalBlockSize, PartitionPlan, PartitionType, Uuid, cleared_uuid, write_table,
};
use flash::{Composed, Parts, Plan, Sizes, Survey, compose, survey};

pub const MIB: u64 = 1 << 20;
pub const CONFIG: (&str, &[u8]) = ("cloud-config.yml", b"#cloud-config\nhostname: flashed\n");

/// Partitions in the order of a disk, in MiB; slot B is empty.
pub const SMALL: [u64; 6] = [8, 4, 1, 2, 1, 5];
/// The same with slots that are alike.
pub const EVEN: [u64; 6] = [8, 4, 1, 4, 1, 5];
pub const LARGE: [u64; 6] = [40, 8, 1, 8, 1, 20];

/// Returns an image with a loader on `esp`, a `/usr` with a hole, and an empty `oem`.
pub fn image(sizes_mib: [u64; 6]) -> Vec<u8> {
    use PartitionType::*;
    let partition = |label: &str, kind, uuid: Uuid, mib| PartitionPlan {
        label: label.to_owned(),
        kind,
        uuid,
        size_bytes: mib * MIB,
    };
    let [esp, usr, verity, usr_b, verity_b, oem] = sizes_mib;
    let id = Uuid::from_u128;
    let plan = DiskPlan {
        disk_guid: id(0xd15c),
        size_bytes: (sizes_mib.iter().sum::<u64>() + 4) * MIB,
        block_size: LogicalBlockSize::Lb512,
        partitions: vec![
            partition("esp", Esp, id(0xe59), esp),
            partition("usr_1.2.3", UsrX86_64, id(0xa1), usr),
            partition("usr_1.2.3_verity", UsrVerityX86_64, id(0xa2), verity),
            partition("_empty", UsrX86_64, cleared_uuid(4), usr_b),
            partition("_empty", UsrVerityX86_64, cleared_uuid(5), verity_b),
            partition("oem", BasicData, id(0x0e3), oem),
        ],
    };
    let mut dev = Cursor::new(vec![0; usize::try_from(plan.size_bytes).unwrap()]);
    let extents = write_table(&mut dev, &plan).unwrap();
    let spec = |label: &str| FatSpec {
        label: label.to_owned(),
        serial: 0xcafe_f00d,
        mtime_secs: 1_700_000_000,
        block_size: LogicalBlockSize::Lb512,
    };
    let loader: [(&str, &[u8]); 1] = [("EFI/BOOT/BOOTX64.EFI", &[0x5a; 1_500_000])];
    fat::format(&mut dev, extents[0], &spec("ESP"), loader).unwrap();
    fat::format(&mut dev, extents[5], &spec("OEM"), Vec::<(&str, &[u8])>::new()).unwrap();
    put(&mut dev, extents[1].offset, &[0xe5; 100_000]);
    put(&mut dev, extents[1].offset + 2 * MIB, &[0xe6; 1_500_000]);
    put(&mut dev, extents[2].offset, b"verity");
    dev.into_inner()
}

fn put(dev: &mut Cursor<Vec<u8>>, offset: u64, bytes: &[u8]) {
    dev.seek(SeekFrom::Start(offset)).unwrap();
    dev.write_all(bytes).unwrap();
}

pub fn surveyed(image: &[u8]) -> Survey {
    surveyed_in(image, LogicalBlockSize::Lb512)
}

pub fn surveyed_in(image: &[u8], block_size: LogicalBlockSize) -> Survey {
    survey(&mut &image[..], block_size, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Bytes of the `/usr` of [`composed`]; no multiple of a chunk, with a hole.
pub fn usr() -> Vec<u8> {
    let mut usr = vec![0xe5; 2_500_000];
    usr[1_100_000..2_200_000].fill(0);
    usr
}

/// Returns an image that is laid anew from parts.
pub fn composed(sizes_mib: [u64; 6], block_size: LogicalBlockSize) -> Composed {
    let [esp, usr_mib, verity, _, _, oem] = sizes_mib.map(|mib| mib * MIB);
    let file = |path: &str, bytes: &[u8]| (path.to_owned(), bytes.to_vec());
    let parts = Parts {
        block_size,
        sizes: Sizes { esp, usr: usr_mib, verity, oem },
        version: &"1.2.3".parse().unwrap(),
        root_hash: &std::array::from_fn(|idx| u8::try_from(idx).unwrap()),
        usr_len: u64::try_from(usr().len()).unwrap(),
        verity: b"verity",
        esp: &[file("EFI/BOOT/BOOTX64.EFI", &[0x5a; 1_500_000]), file("loader/loader.conf", b"timeout 0\n")],
        oem: &[file("notes", b"of the first machine")],
    };
    compose(&parts).unwrap()
}

/// Returns all of its bytes.
pub fn composed_bytes(sizes_mib: [u64; 6], block_size: LogicalBlockSize) -> Vec<u8> {
    let mut bytes = vec![];
    composed(sizes_mib, block_size).reader(&usr()[..]).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Returns the plan for a device, with identifiers that count up from `seed`.
pub fn plan(survey: &Survey, device_len: u64, seed: u8) -> Plan {
    let mut counter = seed;
    let fill = |buffer: &mut [u8]| {
        counter = counter.wrapping_add(1);
        buffer.fill(counter);
        Ok(())
    };
    Plan::new(survey, device_len, &[CONFIG], fill).unwrap()
}

/// Returns where the partitions of an image of these sizes are.
pub fn extents(sizes_mib: [u64; 6]) -> Vec<Extent> {
    let mut offset = MIB;
    let place = |mib: &u64| {
        let extent = Extent { offset, len: mib * MIB };
        offset = extent.end();
        extent
    };
    sizes_mib.iter().map(place).collect()
}

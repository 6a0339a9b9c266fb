//! Starts for the targets, made by our own writers: nothing binary is committed.

use std::io::Cursor;

use disk_image::LogicalBlockSize::Lb512;
use disk_image::fat::{self, FatSpec};
use disk_image::{DiskPlan, Extent, PartitionPlan, PartitionType, Uuid, write_table};
use verity::{Salt, build};

const MIB: u64 = 1 << 20;

/// Returns inputs that the target of that name accepts; none for an unknown name.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "gpt_table" => vec![table()],
        "fat_boot_sector" => vec![fat_of(40 * MIB), fat_of(512 * MIB)],
        "fat_names" => vec![crate::disks::fat_seed()],
        "write_log" => vec![crate::disks::log_seed()],
        "verity_device" => vec![verity_device(1), verity_device(3)],
        "pe_file" => vec![pe(&[(".text", b"\xc3"), (".sdmagic", b"addon")]), uki()],
        "slot_names" => [
            "slipway_0.1.0+2-1.efi\nslipway_0.2.0.efi",
            "usr_0.1.0~rc.1_verity\n_empty",
            "0.10.0~rc.1\n0.9.0",
            "123.a-1\n123^post1",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
        _ => [
            crate::debian::seeds(target),
            crate::update::seeds(target),
            crate::user_data::seeds(target),
            crate::fleet::seeds(target),
            crate::locksmith::seeds(target),
        ]
        .concat(),
    }
}

/// Header and entries of a table on a disk of 1 MiB, which the target gives it: the partition is cut to fit.
fn table() -> Vec<u8> {
    let partition = |label: &str, kind| PartitionPlan {
        label: label.to_owned(),
        kind,
        uuid: Uuid::from_u128(7),
        size_bytes: MIB,
    };
    let plan = DiskPlan {
        disk_guid: Uuid::from_u128(1),
        size_bytes: 4 * MIB,
        block_size: Lb512,
        partitions: vec![
            partition("esp", PartitionType::Esp),
            partition("usr_0.1.0", PartitionType::UsrX86_64),
        ],
    };
    let mut disk = Cursor::new(vec![0; 4 << 20]);
    write_table(&mut disk, &plan).expect("the plan fits");
    let disk = disk.into_inner();
    let mut seed = [&disk[512..512 + 92], &disk[1024..1024 + 256]].concat();
    // Blocks 40 to 49 and 50 to 59: the disk of the target is smaller than the plan's.
    for (entry, first) in [(92, 40_u64), (92 + 128, 50)] {
        seed[entry + 32..entry + 40].copy_from_slice(&first.to_le_bytes());
        seed[entry + 40..entry + 48].copy_from_slice(&(first + 9).to_le_bytes());
    }
    seed
}

/// The first sectors of a FAT.
fn fat_of(len: u64) -> Vec<u8> {
    let mut device = Cursor::new(vec![0; usize::try_from(len).expect("at most 512 MiB")]);
    let spec = FatSpec { label: "SEED".to_owned(), serial: 1, mtime_secs: 0, block_size: Lb512 };
    fat::format(&mut device, Extent { offset: 0, len }, &spec, []).expect("the size has a FAT");
    device.get_ref()[..8 * 512].to_vec()
}

fn verity_device(n_blocks: u64) -> Vec<u8> {
    let data = vec![1; usize::try_from(n_blocks).expect("a few") * verity::BLOCK_SIZE];
    let mut device = Cursor::new(vec![]);
    build(&data[..], n_blocks, &Salt([2; 32]), [3; 16], &mut device).expect("there is data");
    device.into_inner()
}

fn uki() -> Vec<u8> {
    pe(&[
        (".osrel", b"ID=slipway\n"),
        (".cmdline", b"usrhash=00"),
        (".linux", b"kernel"),
        (".initrd", b"070701"),
    ])
}

/// A small PE32+ file; the crate's tests have the same with explanations.
fn pe(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = vec![0; 0x400];
    let mut put = |at: usize, value: &[u8]| out[at..at + value.len()].copy_from_slice(value);
    put(0, b"MZ");
    put(60, &[0x40]);
    put(0x40, b"PE\0\0\x64\x86");
    put(0x46, &[u8::try_from(sections.len()).expect("a few")]);
    put(0x54, &240_u16.to_le_bytes());
    put(0x58, &0x20b_u16.to_le_bytes());
    put(0x58 + 32, &0x1000_u32.to_le_bytes());
    put(0x58 + 36, &0x200_u32.to_le_bytes());
    put(0x58 + 56, &0x10000_u32.to_le_bytes());
    put(0x58 + 60, &0x400_u32.to_le_bytes());
    put(0x58 + 108, &16_u32.to_le_bytes());
    for (idx, (name, content)) in (0_u32..).zip(sections) {
        let at = 0x58 + 240 + 40 * usize::try_from(idx).expect("a few");
        put(at, name.as_bytes());
        put(at + 8, &u32::try_from(content.len()).expect("short").to_le_bytes());
        put(at + 12, &(0x1000 * (idx + 1)).to_le_bytes());
        put(at + 16, &0x200_u32.to_le_bytes());
        put(at + 20, &(0x400 + 0x200 * idx).to_le_bytes());
    }
    for (_, content) in sections {
        let end = out.len() + 0x200;
        out.extend_from_slice(content);
        out.resize(end, 0);
    }
    out
}

//! Every target takes its seeds, and what small changes make of them; seeds reach behind the first checks.

use std::io::Cursor;

use disk_image::LogicalBlockSize::Lb512;
use disk_image::{Extent, Table, fat};
use fleet_core::name::UnitName;
use fleet_core::requirements::Requirements;
use fleet_core::unit_file::UnitFile;
use locksmith_core::semaphore::Semaphore;
use payload::{BlockList, Channel, Envelope, Kind, Manifest};
use slipway_fuzz::{TARGETS, disk_around, kept, seeds};
use uki::{cmdline_addon, validate_uki};
use verity::Superblock;

#[test]
fn targets_take_seeds_and_their_mutations() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name}");
        // Xorshift: the same changes in every run with the same seed.
        let mut state = number("SLIPWAY_FUZZ_SEED", 0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % below.max(1)
        };
        for seed in seeds {
            target(&seed);
            for _ in 0..number("SLIPWAY_FUZZ_CASES", 100) {
                let mut changed = seed.clone();
                for _ in 0..1 + next(4) {
                    let at = next(changed.len().min(1024));
                    changed[at] = u8::try_from(next(256)).unwrap();
                }
                if next(4) == 0 {
                    changed.truncate(next(seed.len()));
                }
                target(&changed);
            }
        }
    }
}

/// A number that a longer run sets, see `cargo xtask soak`.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

#[test]
fn targets_take_what_was_kept_of_long_runs() {
    let mut n_inputs = 0;
    for (name, target) in TARGETS {
        for input in kept(name).unwrap() {
            target(&input);
            n_inputs += 1;
        }
    }
    assert!(1000 < n_inputs, "{n_inputs} inputs");
}

#[test]
fn seeds_are_accepted() {
    for seed in seeds("pe_file") {
        assert!(cmdline_addon(&seed, "quiet").is_ok() || validate_uki(&seed).is_ok());
    }
    for seed in seeds("fat_boot_sector") {
        let len = u64::try_from(seed.len()).unwrap();
        assert_eq!(fat::read_serial(&mut Cursor::new(seed), Extent { offset: 0, len }).unwrap(), 1);
    }
    for seed in seeds("deb_package") {
        assert_eq!(deb::package::data_members(&seed[..]).unwrap().len(), 2);
    }
    for seed in seeds("deb_index") {
        assert_eq!(deb::index::parse(std::str::from_utf8(&seed).unwrap()).unwrap().len(), 2);
    }
    for seed in seeds("deb_sources") {
        let text = std::str::from_utf8(&seed).unwrap();
        let files = |package: deb::source_index::SourcePackage| package.files.len();
        let found: Vec<_> =
            deb::source_index::parse(text, |_, _| true).unwrap().into_iter().map(files).collect();
        assert_eq!(found, [2, 1]);
    }
    assert!(deb::release::parse(std::str::from_utf8(&seeds("deb_release")[1]).unwrap()).is_ok());
    for seed in seeds("verity_device") {
        assert!(Superblock::parse(&seed).is_ok());
    }
    for seed in &seeds("payload_envelope")[..2] {
        let envelope = Envelope::parse(Kind::Payload, seed).unwrap();
        assert!(Manifest::parse(envelope.body, u64::try_from(envelope.len).unwrap()).is_ok());
    }
    assert!(Envelope::parse(Kind::Channel, &seeds("payload_envelope")[2]).is_ok());
    for seed in seeds("cloud_config") {
        let findings = cloud_config::read::validate(&seed);
        assert_eq!(findings, []);
    }
    for seed in seeds("fleet_unit") {
        let (name, text) = std::str::from_utf8(&seed).unwrap().split_once('\n').unwrap();
        let file = UnitFile::parse(text).unwrap();
        assert!(Requirements::of(&UnitName::parse(name).unwrap(), &file).is_ok(), "{name}");
    }
    for seed in seeds("semaphore") {
        assert!(Semaphore::parse(&seed).unwrap().to_bytes().is_ok());
    }
    for seed in seeds("payload_channel") {
        assert!(Channel::parse(&seed).is_ok());
    }
    for seed in seeds("payload_blocks") {
        let (len, rows) = seed.split_first_chunk().unwrap();
        assert!(BlockList::parse(rows, u64::from_le_bytes(*len)).is_ok());
    }
    for seed in seeds("gpt_table") {
        assert_eq!(Table::read(&mut disk_around(&seed), Lb512).unwrap().partitions().len(), 2);
    }
}

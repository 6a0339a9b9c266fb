//! `ukify inspect` reads the addons that we make from systemd's own stub.

#[path = "support/images.rs"]
mod images;
#[path = "../../verity/tests/judges/programs.rs"]
mod programs;

use std::fs;

use programs::{judge_accepts, judge_file};
use uki::{Pe, Section, cmdline_addon};

#[test]
fn ukify_reads_an_addon_made_from_the_real_stub() {
    let Some(stub) = judge_file("addonx64.efi.stub") else { return };
    let stub = fs::read(stub).unwrap();
    assert!(Pe::parse(&stub).unwrap().sections().iter().any(|section| section.name == ".sdmagic"));
    let addon = cmdline_addon(&stub, "console=ttyS0 systemd.log_level=debug").unwrap();
    assert_eq!(
        Pe::parse(&addon).unwrap().read_section(Section::Cmdline),
        Some(&b"console=ttyS0 systemd.log_level=debug"[..])
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("args.addon.efi");
    fs::write(&path, addon).unwrap();
    let Some(said) = judge_accepts("ukify", &["inspect", path.to_str().unwrap()]) else { return };
    assert!(said.contains(".cmdline:") && said.contains("console=ttyS0 systemd.log_level=debug"), "{said}");
    assert!(said.contains("size: 37 bytes"), "{said}");
}

#[test]
fn ukify_reads_the_sections_of_our_test_images() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.efi");
    fs::write(&path, images::pe(&images::UKI_SECTIONS)).unwrap();
    let Some(said) = judge_accepts("ukify", &["inspect", path.to_str().unwrap()]) else { return };
    assert!(said.contains("usrhash=0123") && said.contains(".initrd:"), "{said}");
}

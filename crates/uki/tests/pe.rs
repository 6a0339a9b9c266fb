//! Reading PE files and UKIs: what is accepted, and a refusal for every wrong field.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/images.rs"]
mod images;

use images::{COFF_AT, OPTIONAL_AT, TABLE_AT, UKI_SECTIONS, pe, put};
use proptest::prelude::*;
use uki::{
    HEAD_LEN, Pe, PeError, SECTIONS_MAX, Section, UkiError, cmdline_addon, section_starts, validate_uki,
};

#[test]
fn sections_read_back_without_their_padding() {
    let bytes = pe(&UKI_SECTIONS);
    let parsed = Pe::parse(&bytes).unwrap();
    let found: Vec<_> = parsed.sections().iter().map(|s| (s.name.as_str(), parsed.content(s))).collect();
    assert_eq!(found, UKI_SECTIONS);
    assert_eq!(parsed.read_section(Section::Initrd), Some(&b"070701"[..]));
    assert_eq!(parsed.read_section(Section::Dtb), None);
}

#[test]
fn a_uki_tells_its_texts_and_root_hash() {
    let bytes = pe(&UKI_SECTIONS);
    let uki = validate_uki(&bytes).unwrap();
    assert_eq!(uki.text(Section::OsRel).unwrap(), Some("ID=slipway"));
    assert_eq!(uki.text(Section::Uname).unwrap(), None);
    assert_eq!(uki.usrhash(), Some("0123"));
}

#[track_caller]
fn check_pe(at: usize, value: &[u8], is_expected: impl Fn(&PeError) -> bool) {
    let mut bytes = pe(&UKI_SECTIONS);
    put(&mut bytes, at, value);
    let found = Pe::parse(&bytes).unwrap_err();
    assert!(is_expected(&found), "{found:?}");
}

#[test]
fn rejects_every_wrong_field() {
    let field = |expected: &'static str| move |err: &PeError| matches!(err, PeError::Field { field, .. } if *field == expected);
    check_pe(0, b"ZM", field("DOS signature"));
    check_pe(images::PE_AT, b"NE", field("PE signature"));
    check_pe(COFF_AT + 2, &[0, 0], field("number of sections"));
    check_pe(COFF_AT + 2, &[97, 0], field("number of sections"));
    check_pe(OPTIONAL_AT, &0x10b_u16.to_le_bytes(), field("magic"));
    check_pe(OPTIONAL_AT + 32, &[0, 0, 0, 0], field("section alignment"));
    check_pe(OPTIONAL_AT + 36, &[0, 3, 0, 0], field("file alignment"));
    check_pe(OPTIONAL_AT + 36, &[0, 0, 2, 0], field("file alignment"));
    check_pe(OPTIONAL_AT + 108, &[17, 0, 0, 0], field("number of data directories"));
    check_pe(COFF_AT + 16, &[112, 0], field("number of data directories"));
}

#[test]
fn rejects_headers_and_sections_beyond_the_file() {
    let truncated = |expected: &'static str| move |err: &PeError| matches!(err, PeError::Truncated { what, .. } if *what == expected);
    check_pe(60, &u32::MAX.to_le_bytes(), truncated("PE signature"));
    check_pe(COFF_AT + 16, &[0xff, 0xff], truncated("section table"));
    let out_of_file = |err: &PeError| matches!(err, PeError::SectionOutOfFile { idx: 1, .. });
    check_pe(TABLE_AT + 40 + 16, &u32::MAX.to_le_bytes(), out_of_file);
    check_pe(TABLE_AT + 40 + 20, &u32::MAX.to_le_bytes(), out_of_file);
    let out_of_memory = |err: &PeError| matches!(err, PeError::SectionOutOfMemory { idx: 1, .. });
    check_pe(TABLE_AT + 40 + 8, &u32::MAX.to_le_bytes(), out_of_memory);
    let whole = pe(&UKI_SECTIONS);
    for len in 0..whole.len() {
        assert!(Pe::parse(&whole[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn sections_start_where_the_head_says() {
    let whole = pe(&UKI_SECTIONS);
    let len = u64::try_from(whole.len()).unwrap();
    let starts = [0x400, 0x600, 0x800, 0xa00, 0xc00, 0x2000];
    assert_eq!(section_starts(&whole, len).unwrap(), starts);
    // The headers suffice, up to the last byte of the section table.
    let head = &whole[..TABLE_AT + 40 * UKI_SECTIONS.len()];
    assert_eq!(section_starts(head, len).unwrap(), starts);

    let mut changed = whole.clone();
    // The second section begins where the first does; the third has no bytes in the file.
    put(&mut changed, TABLE_AT + 40 + 20, &0x400_u32.to_le_bytes());
    put(&mut changed, TABLE_AT + 80 + 16, &[0; 4]);
    assert_eq!(section_starts(&changed, len).unwrap(), [0x400, 0xa00, 0xc00, 0x2000]);
}

#[test]
fn a_file_that_ends_early_differs_from_a_head_that_does() {
    let whole = pe(&UKI_SECTIONS);
    let len = u64::try_from(whole.len()).unwrap();
    let table_end = TABLE_AT + 40 * UKI_SECTIONS.len();
    for n in 0..table_end {
        let found = section_starts(&whole[..n], len).unwrap_err();
        assert!(matches!(found, PeError::HeadTooShort { found, .. } if found == n), "{n} bytes: {found}");
    }
    let cut = u64::try_from(TABLE_AT + 39).unwrap();
    let found = section_starts(&whole, cut).unwrap_err();
    let what = "section table";
    assert_eq!(found, PeError::Truncated { what, expected: cut + 1, found: cut });
    let found = section_starts(&whole, len - 1).unwrap_err();
    assert!(matches!(found, PeError::SectionOutOfFile { idx: 5, .. }), "{found}");
}

#[test]
fn the_head_holds_the_most_sections() {
    const { assert!(TABLE_AT + 40 * SECTIONS_MAX < HEAD_LEN / 2) };
}

#[test]
fn a_uki_needs_kernel_initrd_command_line_and_os_release() {
    for (name, section) in [
        (".linux", Section::Linux),
        (".osrel", Section::OsRel),
        (".cmdline", Section::Cmdline),
        (".initrd", Section::Initrd),
    ] {
        let without: Vec<_> = UKI_SECTIONS.into_iter().filter(|(n, _)| *n != name).collect();
        assert_eq!(validate_uki(&pe(&without)).unwrap_err(), UkiError::Missing(section));
        let empty = UKI_SECTIONS.map(|(n, content)| (n, if n == name { &b""[..] } else { content }));
        assert_eq!(validate_uki(&pe(&empty)).unwrap_err(), UkiError::Missing(section));
    }
}

#[test]
fn a_uki_has_each_section_once_and_none_overlapping() {
    let twice = [&UKI_SECTIONS[..], &[(".initrd", b"other")]].concat();
    assert_eq!(validate_uki(&pe(&twice)).unwrap_err(), UkiError::Duplicate(Section::Initrd));

    let with = |at: usize, value: u32| {
        let mut bytes = pe(&UKI_SECTIONS);
        put(&mut bytes, at, &value.to_le_bytes());
        validate_uki(&bytes).unwrap_err()
    };
    let (osrel, cmdline) = (TABLE_AT + 40, TABLE_AT + 80);
    // .osrel starts at 0x600 in the file and at 0x2000 in memory, .cmdline behind it.
    let found = with(cmdline + 20, 0x7ff);
    assert!(
        matches!(&found, UkiError::Overlap { first, place: "the file", .. } if first == ".osrel"),
        "{found}"
    );
    let found = with(osrel + 12, 0x3000);
    assert!(matches!(&found, UkiError::Overlap { place: "memory", .. }), "{found}");
    let found = with(osrel + 8, 0x201);
    assert!(matches!(&found, UkiError::NotInFile { virtual_size: 0x201, .. }), "{found}");
    let found = with(cmdline + 12, 0x1_0000);
    assert!(matches!(&found, UkiError::OutOfImage { found: 0x1_0017, .. }), "{found}");
}

#[test]
fn a_uki_has_a_command_line_of_text() {
    let wrong = UKI_SECTIONS.map(|(n, content)| (n, if n == ".cmdline" { &[0xff][..] } else { content }));
    assert_eq!(validate_uki(&pe(&wrong)).unwrap_err(), UkiError::NotText(Section::Cmdline));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hostile_files_never_panic(
        changes in prop::collection::vec((0usize..0x400, any::<u8>()), 1..6), len in 0usize..9000,
    ) {
        let mut bytes = pe(&UKI_SECTIONS);
        changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        bytes.truncate(len.max(200));
        let len = u64::try_from(bytes.len()).unwrap();
        prop_assert_eq!(section_starts(&bytes, len).err(), Pe::parse(&bytes).err());
        if let Ok(parsed) = Pe::parse(&bytes) {
            for section in parsed.sections() {
                prop_assert!(parsed.content(section).len() <= bytes.len());
            }
        }
        if let Ok(addon) = cmdline_addon(&bytes, "quiet") {
            prop_assert!(Pe::parse(&addon).is_ok());
        }
        if let Ok(uki) = validate_uki(&bytes) {
            uki.usrhash();
        }
    }
}

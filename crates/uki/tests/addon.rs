//! Addons: the new section, the fields that change with it, and what is refused.

#[path = "support/images.rs"]
mod images;

use images::{COFF_AT, HEADERS_SIZE, OPTIONAL_AT, TABLE_AT, pe, put};
use uki::{AddonError, CMDLINE_MAX, Pe, PeSection, Section, append_section, cmdline_addon};

const STUB: [(&str, &[u8]); 2] =
    [(".text", b"\xb8\0\0\0\0\xc3"), (".sdmagic", b"#### LoaderInfo: addon ####")];

#[test]
fn an_addon_is_the_stub_with_one_more_aligned_section() {
    let stub = pe(&STUB);
    let addon = cmdline_addon(&stub, "console=ttyS0 debug").unwrap();
    let parsed = Pe::parse(&addon).unwrap();
    let expected = PeSection {
        name: ".cmdline".to_owned(),
        virtual_address: 0x3000,
        virtual_size: 19,
        raw_offset: 0x800,
        raw_size: 0x200,
    };
    assert_eq!(parsed.sections()[..2], *Pe::parse(&stub).unwrap().sections());
    assert_eq!(parsed.sections()[2..], [expected]);
    assert_eq!(parsed.read_section(Section::Cmdline), Some(&b"console=ttyS0 debug"[..]));
    assert_eq!(parsed.size_of_image(), 0x4000);
    assert_eq!(addon.len(), 0xa00);

    // Nothing else changed: number of sections, initialized data, size of image, checksum, the new header.
    let mut expected = stub.clone();
    put(&mut expected, COFF_AT + 2, &[3, 0]);
    put(&mut expected, OPTIONAL_AT + 8, &0x200_u32.to_le_bytes());
    put(&mut expected, OPTIONAL_AT + 56, &0x4000_u32.to_le_bytes());
    put(&mut expected, OPTIONAL_AT + 64, &[0; 4]);
    let header = TABLE_AT + 80;
    let new_header = addon[header..header + 40].to_vec();
    put(&mut expected, header, &new_header);
    assert!(addon[..stub.len()] == expected);
    assert_eq!(addon[header + 36..header + 40], 0x4000_0040_u32.to_le_bytes());
}

#[test]
fn equal_inputs_give_equal_addons() {
    let stub = pe(&STUB);
    assert!(cmdline_addon(&stub, "quiet").unwrap() == cmdline_addon(&stub, "quiet").unwrap());
}

#[test]
fn an_unaligned_end_of_file_is_padded_first() {
    let mut stub = pe(&STUB);
    stub.extend_from_slice(b"symbols");
    let addon = append_section(&stub, Section::Uname, b"6.12").unwrap();
    let parsed = Pe::parse(&addon).unwrap();
    assert_eq!((parsed.sections()[2].raw_offset, addon.len()), (0xa00, 0xc00));
    assert_eq!(&addon[0x800..0x807], b"symbols");
}

#[test]
fn refuses_stubs_that_cannot_take_a_section() {
    let refuse = |stub: &[u8]| cmdline_addon(stub, "quiet").unwrap_err();
    assert!(matches!(refuse(b"MZ"), AddonError::Stub(_)));
    let mut signed = pe(&STUB);
    put(&mut signed, OPTIONAL_AT + 112 + 4 * 8, &[1]);
    assert_eq!(refuse(&signed), AddonError::Signed);
    let mut used = pe(&STUB);
    put(&mut used, TABLE_AT + 80 + 10, &[1]);
    assert_eq!(refuse(&used), AddonError::NoHeaderRoom { expected: 40, found: 10 });
    let mut small = pe(&STUB);
    let headers = u32::try_from(TABLE_AT + 80 + 39).unwrap();
    put(&mut small, OPTIONAL_AT + 60, &headers.to_le_bytes());
    assert_eq!(refuse(&small), AddonError::NoHeaderRoom { expected: 40, found: 39 });
    let mut early = pe(&STUB);
    put(&mut early, TABLE_AT + 20, &u32::try_from(TABLE_AT + 90).unwrap().to_le_bytes());
    assert_eq!(refuse(&early), AddonError::NoHeaderRoom { expected: 40, found: 10 });
    let done = cmdline_addon(&pe(&STUB), "quiet").unwrap();
    assert_eq!(refuse(&done), AddonError::SectionExists(Section::Cmdline));
    let mut high = pe(&STUB);
    put(&mut high, TABLE_AT + 40 + 12, &0xffff_f000_u32.to_le_bytes());
    assert_eq!(refuse(&high), AddonError::TooLarge);
    assert!(HEADERS_SIZE < pe(&STUB).len());
}

#[test]
fn refuses_command_lines_that_the_stub_would_change() {
    let refuse = |cmdline: &str| cmdline_addon(&pe(&STUB), cmdline).unwrap_err();
    assert_eq!(refuse(""), AddonError::CmdlineCharacter { found: None });
    assert_eq!(refuse("  "), AddonError::CmdlineCharacter { found: None });
    assert_eq!(refuse("a\nb"), AddonError::CmdlineCharacter { found: Some('\n') });
    assert_eq!(refuse("ä"), AddonError::CmdlineCharacter { found: Some('ä') });
    let long = "x".repeat(CMDLINE_MAX + 1);
    assert_eq!(refuse(&long), AddonError::CmdlineTooLong { found: CMDLINE_MAX + 1 });
}

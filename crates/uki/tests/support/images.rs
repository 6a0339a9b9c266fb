//! Small PE32+ files for tests, written field by field.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

pub const PE_AT: usize = 0x40;
pub const COFF_AT: usize = PE_AT + 4;
pub const OPTIONAL_AT: usize = COFF_AT + 20;
pub const TABLE_AT: usize = OPTIONAL_AT + 112 + 16 * 8;
pub const HEADERS_SIZE: usize = 0x400;
const SECTION_ALIGNMENT: u32 = 0x1000;
const FILE_ALIGNMENT: u32 = 0x200;

/// Writes `value` at `at`.
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// A PE32+ file with these sections, as systemd's stubs are laid out.
pub fn pe(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = vec![0; HEADERS_SIZE];
    put(&mut out, 0, b"MZ");
    put(&mut out, 60, &u32::try_from(PE_AT).unwrap().to_le_bytes());
    put(&mut out, PE_AT, b"PE\0\0");
    put(&mut out, COFF_AT, &0x8664_u16.to_le_bytes());
    put(&mut out, COFF_AT + 2, &u16::try_from(sections.len()).unwrap().to_le_bytes());
    put(&mut out, COFF_AT + 16, &240_u16.to_le_bytes());
    put(&mut out, COFF_AT + 18, &0x22e_u16.to_le_bytes());
    put(&mut out, OPTIONAL_AT, &0x20b_u16.to_le_bytes());
    put(&mut out, OPTIONAL_AT + 32, &SECTION_ALIGNMENT.to_le_bytes());
    put(&mut out, OPTIONAL_AT + 36, &FILE_ALIGNMENT.to_le_bytes());
    put(&mut out, OPTIONAL_AT + 60, &u32::try_from(HEADERS_SIZE).unwrap().to_le_bytes());
    put(&mut out, OPTIONAL_AT + 64, &0xdead_beef_u32.to_le_bytes());
    put(&mut out, OPTIONAL_AT + 68, &10_u16.to_le_bytes());
    put(&mut out, OPTIONAL_AT + 108, &16_u32.to_le_bytes());
    let mut address = SECTION_ALIGNMENT;
    for (idx, (name, content)) in sections.iter().enumerate() {
        let at = TABLE_AT + idx * 40;
        let len = u32::try_from(content.len()).unwrap();
        let raw_len = len.next_multiple_of(FILE_ALIGNMENT);
        let raw_at = u32::try_from(out.len()).unwrap();
        put(&mut out, at, name.as_bytes());
        put(&mut out, at + 8, &len.to_le_bytes());
        put(&mut out, at + 12, &address.to_le_bytes());
        put(&mut out, at + 16, &raw_len.to_le_bytes());
        put(&mut out, at + 20, &raw_at.to_le_bytes());
        put(&mut out, at + 36, &0x4000_0040_u32.to_le_bytes());
        out.extend_from_slice(content);
        out.resize(usize::try_from(raw_at + raw_len).unwrap(), 0);
        address += len.next_multiple_of(SECTION_ALIGNMENT);
    }
    put(&mut out, OPTIONAL_AT + 56, &address.to_le_bytes());
    out
}

/// The sections of a UKI.
pub const UKI_SECTIONS: [(&str, &[u8]); 6] = [
    (".text", b"\xeb\xfe"),
    (".osrel", b"ID=slipway\n\0"),
    (".cmdline", b"gpt usrhash=0123 quiet\n"),
    (".ucode", b"microcode"),
    (".linux", &[0x5a; 5000]),
    (".initrd", b"070701"),
];

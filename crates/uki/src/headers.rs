//! Headers and section table of a PE32+ file, from its first bytes alone, with every length checked
//! (Microsoft, "PE Format").
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..2 | `MZ` |
//! | 60..64 | offset of `PE\0\0` |
//! | then 20 | COFF header: machine, number of sections, …, size of the optional header |
//! | then 112.. | optional header: magic 0x20b, …, alignments, size of image, size of headers, directories |
//! | then 40 each | section table: name, sizes and places in memory and in the file |

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Most sections accepted; Windows' own limit, and several times what a UKI has.
pub const SECTIONS_MAX: usize = 96;
/// Bytes at the start of a file that [`section_starts`] needs: behind systemd's stubs, a table of
/// [`SECTIONS_MAX`] sections ends within 5 KiB.
pub const HEAD_LEN: usize = 16 << 10;

pub(crate) const SECTION_HEADER_SIZE: usize = size_of::<RawSection>();
const DOS_HEADER_SIZE: usize = 64;
const PE32_PLUS: u16 = 0x20b;
/// File and section alignments accepted, in bytes.
const ALIGNMENT_MAX: u32 = 1 << 16;
/// Position of the attribute certificates among the data directories.
const SECURITY_DIRECTORY: usize = 4;

/// A section: its name, and its place in the file and in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeSection {
    /// Name; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// Start in memory, relative to the image.
    pub virtual_address: u32,
    /// Length in memory: what the section holds.
    pub virtual_size: u32,
    /// Start in the file.
    pub raw_offset: u32,
    /// Length in the file: the content with padding behind it.
    pub raw_size: u32,
}

/// What a file's headers say. All sections lie inside the file.
#[derive(Debug)]
pub(crate) struct Headers {
    pub(crate) coff_at: usize,
    pub(crate) optional_at: usize,
    pub(crate) table_at: usize,
    pub(crate) section_alignment: u32,
    pub(crate) file_alignment: u32,
    pub(crate) size_of_headers: usize,
    pub(crate) is_signed: bool,
    pub(crate) size_of_image: u32,
    pub(crate) sections: Vec<PeSection>,
}

/// Why bytes are no PE32+ file that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeError {
    /// The file ends inside a header.
    #[error("PE file is truncated: {what} needs {expected} bytes, the file has {found}")]
    Truncated {
        /// The header.
        what: &'static str,
        /// Bytes up to the header's end.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// Too few bytes of the file were read.
    #[error("PE file: {what} ends at {expected} bytes, beyond the first {found} that are looked at")]
    HeadTooShort {
        /// The header.
        what: &'static str,
        /// Bytes up to the header's end.
        expected: u64,
        /// Bytes given.
        found: usize,
    },
    /// A field has a value that we do not accept.
    #[error("PE file, field `{field}`: expected {expected}, found {found:#x}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// The value in the file.
        found: u64,
    },
    /// A section reaches beyond the file.
    #[error("PE section {idx} `{name}` lies at {offset} and has {size} bytes: the file has {found} bytes")]
    SectionOutOfFile {
        /// Position in the section table.
        idx: usize,
        /// Name of the section.
        name: String,
        /// Start in the file.
        offset: u32,
        /// Length in the file.
        size: u32,
        /// Length of the file.
        found: u64,
    },
    /// A section reaches beyond 4 GiB of memory.
    #[error("PE section {idx} `{name}` ends beyond 4 GiB in memory")]
    SectionOutOfMemory {
        /// Position in the section table.
        idx: usize,
        /// Name of the section.
        name: String,
    },
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawCoff {
    machine: U16,
    n_sections: U16,
    timestamp: U32,
    symbols_at: U32,
    n_symbols: U32,
    optional_size: U16,
    characteristics: U16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawOptional {
    magic: U16,
    linker: [u8; 2],
    size_of_code: U32,
    pub(crate) size_of_initialized_data: U32,
    size_of_uninitialized_data: U32,
    entry_point: U32,
    base_of_code: U32,
    image_base: U64,
    section_alignment: U32,
    file_alignment: U32,
    versions: [U16; 6],
    win32_version: U32,
    pub(crate) size_of_image: U32,
    size_of_headers: U32,
    pub(crate) checksum: U32,
    subsystem: U16,
    dll_characteristics: U16,
    stack_and_heap: [U64; 4],
    loader_flags: U32,
    n_directories: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawSection {
    pub(crate) name: [u8; 8],
    pub(crate) virtual_size: U32,
    pub(crate) virtual_address: U32,
    pub(crate) raw_size: U32,
    pub(crate) raw_offset: U32,
    pub(crate) unused: [u8; 12],
    pub(crate) characteristics: U32,
}

/// Returns where the sections of a file begin in it, ascending and each place once, from the file's first
/// bytes ([`HEAD_LEN`] of them) and its length. A section without bytes in the file has no place in it.
pub fn section_starts(head: &[u8], file_len: u64) -> Result<Vec<u64>, PeError> {
    let headers = Headers::parse(head, file_len)?;
    let in_file = headers.sections.iter().filter(|section| section.raw_size != 0);
    let mut starts: Vec<u64> = in_file.map(|section| section.raw_offset.into()).collect();
    starts.sort_unstable();
    starts.dedup();
    Ok(starts)
}

impl Headers {
    /// Reads the headers of a file of `file_len` bytes that begins with `head`. Never panics; allocates for
    /// the section table only.
    pub(crate) fn parse(head: &[u8], file_len: u64) -> Result<Self, PeError> {
        let head = Head { bytes: head, file_len };
        let dos: &[u8; DOS_HEADER_SIZE] = head.read(0, "DOS header")?;
        if !dos.starts_with(b"MZ") {
            let found = u64::from(u16::from_le_bytes([dos[0], dos[1]]));
            return Err(PeError::Field { field: "DOS signature", expected: "MZ", found });
        }
        let pe_at = to_usize(u32::from_le_bytes([dos[60], dos[61], dos[62], dos[63]]));
        let signature: &U32 = head.read(pe_at, "PE signature")?;
        if signature.get().to_le_bytes() != *b"PE\0\0" {
            let found = signature.get().into();
            return Err(PeError::Field { field: "PE signature", expected: "PE\\0\\0", found });
        }
        let coff_at = pe_at.saturating_add(4);
        let coff: &RawCoff = head.read(coff_at, "COFF header")?;
        let optional_at = coff_at.saturating_add(size_of::<RawCoff>());
        let optional: &RawOptional = head.read(optional_at, "optional header")?;
        check_optional(optional)?;
        let optional_size = usize::from(coff.optional_size.get());
        let n_directories = to_usize(optional.n_directories.get());
        if 16 < n_directories || optional_size < size_of::<RawOptional>() + 8 * n_directories {
            let field = "number of data directories";
            let expected = "at most 16, inside the optional header";
            return Err(PeError::Field { field, expected, found: optional.n_directories.get().into() });
        }
        let is_signed = SECURITY_DIRECTORY < n_directories && {
            let at = optional_at + size_of::<RawOptional>() + 8 * SECURITY_DIRECTORY;
            head.read::<U64>(at, "data directories")?.get() != 0
        };
        let n_sections = usize::from(coff.n_sections.get());
        if n_sections == 0 || SECTIONS_MAX < n_sections {
            let found = coff.n_sections.get().into();
            return Err(PeError::Field { field: "number of sections", expected: "1 to 96", found });
        }
        let table_at = optional_at.saturating_add(optional_size);
        let sections = (0..n_sections).map(|idx| parse_section(head, table_at, idx));
        Ok(Self {
            coff_at,
            optional_at,
            table_at,
            section_alignment: optional.section_alignment.get(),
            file_alignment: optional.file_alignment.get(),
            size_of_headers: to_usize(optional.size_of_headers.get()),
            is_signed,
            size_of_image: optional.size_of_image.get(),
            sections: sections.collect::<Result<_, _>>()?,
        })
    }
}

fn check_optional(optional: &RawOptional) -> Result<(), PeError> {
    if optional.magic.get() != PE32_PLUS {
        let found = optional.magic.get().into();
        return Err(PeError::Field { field: "magic", expected: "0x20b (PE32+)", found });
    }
    let (section, file) = (optional.section_alignment.get(), optional.file_alignment.get());
    for (field, found) in [("section alignment", section), ("file alignment", file)] {
        if !found.is_power_of_two() || ALIGNMENT_MAX < found {
            let expected = "a power of two up to 65536";
            return Err(PeError::Field { field, expected, found: found.into() });
        }
    }
    Ok(())
}

fn parse_section(head: Head<'_>, table_at: usize, idx: usize) -> Result<PeSection, PeError> {
    let at = table_at.saturating_add(idx * SECTION_HEADER_SIZE);
    let raw: &RawSection = head.read(at, "section table")?;
    let name_len = raw.name.iter().position(|byte| *byte == 0).unwrap_or(raw.name.len());
    let section = PeSection {
        name: String::from_utf8_lossy(&raw.name[..name_len]).into_owned(),
        virtual_address: raw.virtual_address.get(),
        virtual_size: raw.virtual_size.get(),
        raw_offset: raw.raw_offset.get(),
        raw_size: raw.raw_size.get(),
    };
    if head.file_len < u64::from(section.raw_offset) + u64::from(section.raw_size) {
        return Err(PeError::SectionOutOfFile {
            idx,
            name: section.name,
            offset: section.raw_offset,
            size: section.raw_size,
            found: head.file_len,
        });
    }
    if section.virtual_address.checked_add(section.virtual_size).is_none() {
        return Err(PeError::SectionOutOfMemory { idx, name: section.name });
    }
    Ok(section)
}

/// The first bytes of a file, and the length of the whole.
#[derive(Clone, Copy)]
struct Head<'a> {
    bytes: &'a [u8],
    file_len: u64,
}

impl<'a> Head<'a> {
    /// Returns the header at `at`. A file that ends in it is told apart from a head that does.
    fn read<T>(self, at: usize, what: &'static str) -> Result<&'a T, PeError>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned,
    {
        let expected = to_u64(at.saturating_add(size_of::<T>()));
        if self.file_len < expected {
            return Err(PeError::Truncated { what, expected, found: self.file_len });
        }
        let rest = self.bytes.get(at..).unwrap_or_default();
        let too_short = PeError::HeadTooShort { what, expected, found: self.bytes.len() };
        T::ref_from_prefix(rest).map(|(header, _)| header).map_err(|_| too_short)
    }
}

pub(crate) fn to_usize(n: u32) -> usize {
    usize::try_from(n).expect("usize has at least 32 bits")
}

pub(crate) fn to_u64(len: usize) -> u64 {
    u64::try_from(len).expect("usize has at most 64 bits")
}

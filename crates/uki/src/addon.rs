//! Addons: PE files that systemd-stub loads beside a UKI, here to add to the kernel command line
//! (systemd-stub(7), "Companion files").
//!
//! An addon is systemd's `addonx64.efi.stub` with a `.cmdline` section behind its own.

use zerocopy::{FromBytes, IntoBytes};

use crate::headers::{PeError, RawOptional, RawSection, SECTION_HEADER_SIZE, SECTIONS_MAX, to_usize};
use crate::pe::Pe;
use crate::section::Section;

/// Longest command line of an addon in bytes: what x86 takes in all.
pub const CMDLINE_MAX: usize = 2047;

/// `IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ`.
const READ_ONLY_DATA: u32 = 0x4000_0040;

/// Why an addon cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddonError {
    /// The stub is no PE32+ file.
    #[error("reading the addon stub")]
    Stub(#[from] PeError),
    /// The stub is signed, and a changed file would not verify.
    #[error("the addon stub is signed; use the unsigned one")]
    Signed,
    /// The stub has a section of that name already.
    #[error("the addon stub has a `{0}` section already")]
    SectionExists(Section),
    /// No space for another section header.
    #[error("the addon stub has no room for another section header: {expected} bytes needed, {found} free")]
    NoHeaderRoom {
        /// Bytes needed.
        expected: usize,
        /// Bytes free.
        found: usize,
    },
    /// The image would grow beyond 4 GiB.
    #[error("the addon would be larger than 4 GiB")]
    TooLarge,
    /// The command line is too long.
    #[error("kernel command line has {found} bytes; use at most {CMDLINE_MAX}")]
    CmdlineTooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// The command line is empty, or has a character that the stub does not take as it is.
    #[error("kernel command line: expected printable ASCII on one line, found {found:?}")]
    CmdlineCharacter {
        /// The first wrong character; `None` for an empty line.
        found: Option<char>,
    },
}

/// Returns an addon that appends `cmdline` to the kernel command line of the UKI beside which it lies.
///
/// `stub` is systemd's `addonx64.efi.stub`.
pub fn cmdline_addon(stub: &[u8], cmdline: &str) -> Result<Vec<u8>, AddonError> {
    if CMDLINE_MAX < cmdline.len() {
        return Err(AddonError::CmdlineTooLong { found: cmdline.len() });
    }
    let wrong = cmdline.chars().find(|c| !(' '..='~').contains(c));
    if wrong.is_some() || cmdline.trim().is_empty() {
        return Err(AddonError::CmdlineCharacter { found: wrong });
    }
    append_section(stub, Section::Cmdline, cmdline.as_bytes())
}

/// Returns `stub` with a read-only section behind its own. The checksum becomes zero: nothing in UEFI reads it.
pub fn append_section(stub: &[u8], section: Section, content: &[u8]) -> Result<Vec<u8>, AddonError> {
    let pe = Pe::parse(stub)?;
    if pe.headers.is_signed {
        return Err(AddonError::Signed);
    }
    if pe.read_section(section).is_some() {
        return Err(AddonError::SectionExists(section));
    }
    let header_at = free_header(&pe)?;
    let n_sections = u16::try_from(pe.sections().len() + 1).map_err(|_| AddonError::TooLarge)?;
    let memory_end = pe.sections().iter().map(|s| s.virtual_address + s.virtual_size).max().unwrap_or(0);
    let align = |n: u32, alignment: u32| n.checked_next_multiple_of(alignment).ok_or(AddonError::TooLarge);
    let file_end = u32::try_from(stub.len()).map_err(|_| AddonError::TooLarge)?;
    let virtual_size = u32::try_from(content.len()).map_err(|_| AddonError::TooLarge)?;
    let virtual_address = align(memory_end, pe.headers.section_alignment)?;
    let raw_offset = align(file_end, pe.headers.file_alignment)?;
    let raw_size = align(virtual_size, pe.headers.file_alignment)?;
    let end = virtual_address.checked_add(virtual_size).ok_or(AddonError::TooLarge)?;
    let size_of_image = align(end, pe.headers.section_alignment)?.max(pe.size_of_image());
    let file_len = raw_offset.checked_add(raw_size).ok_or(AddonError::TooLarge)?;

    let mut name = [0; 8];
    name[..section.name().len()].copy_from_slice(section.name().as_bytes());
    let header = RawSection {
        name,
        virtual_size: virtual_size.into(),
        virtual_address: virtual_address.into(),
        raw_size: raw_size.into(),
        raw_offset: raw_offset.into(),
        unused: [0; 12],
        characteristics: READ_ONLY_DATA.into(),
    };
    let mut out = stub.to_vec();
    out[header_at..header_at + SECTION_HEADER_SIZE].copy_from_slice(header.as_bytes());
    out[pe.headers.coff_at + 2..pe.headers.coff_at + 4].copy_from_slice(&n_sections.to_le_bytes());
    let (optional, _) =
        RawOptional::mut_from_prefix(&mut out[pe.headers.optional_at..]).expect("the header was parsed");
    let initialized = optional.size_of_initialized_data.get().saturating_add(raw_size);
    optional.size_of_initialized_data = initialized.into();
    optional.size_of_image = size_of_image.into();
    optional.checksum = 0.into();
    out.resize(to_usize(raw_offset), 0);
    out.extend_from_slice(content);
    out.resize(to_usize(file_len), 0);
    Ok(out)
}

/// Returns where the next section header goes: inside the headers, before any section's bytes, on zeros.
fn free_header(pe: &Pe<'_>) -> Result<usize, AddonError> {
    let at = pe.headers.table_at + pe.sections().len() * SECTION_HEADER_SIZE;
    let first_raw = pe.sections().iter().filter(|s| s.raw_size != 0).map(|s| to_usize(s.raw_offset)).min();
    let headers_end = pe.headers.size_of_headers.min(first_raw.unwrap_or(usize::MAX)).min(pe.bytes.len());
    let free = pe.bytes.get(at..headers_end).unwrap_or_default();
    let n_free = free.iter().take_while(|byte| **byte == 0).count();
    if n_free < SECTION_HEADER_SIZE || pe.sections().len() == SECTIONS_MAX {
        return Err(AddonError::NoHeaderRoom { expected: SECTION_HEADER_SIZE, found: n_free });
    }
    Ok(at)
}

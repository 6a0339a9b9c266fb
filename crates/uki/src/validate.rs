//! Checks that a PE file is a UKI that can boot.

use crate::headers::{PeError, PeSection};
use crate::pe::Pe;
use crate::section::Section;

/// Sections without which our UKIs do not boot.
pub const REQUIRED: [Section; 4] = [Section::Linux, Section::OsRel, Section::Cmdline, Section::Initrd];

/// A checked unified kernel image.
#[derive(Debug)]
pub struct Uki<'a> {
    pe: Pe<'a>,
}

/// Why a file is no UKI that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UkiError {
    /// The file is no PE32+ file.
    #[error("reading the UKI")]
    Pe(#[from] PeError),
    /// A section that a UKI needs is missing, or holds nothing.
    #[error("the UKI has no `{0}` section, or an empty one")]
    Missing(Section),
    /// A section occurs twice: stub and tools could take different ones.
    #[error("the UKI has two `{0}` sections")]
    Duplicate(Section),
    /// Two sections share bytes.
    #[error("sections `{first}` and `{second}` of the UKI overlap in {place}")]
    Overlap {
        /// Name of the one that starts first.
        first: String,
        /// Name of the other.
        second: String,
        /// Where: the file or memory.
        place: &'static str,
    },
    /// A section is not inside the image in memory.
    #[error("section `{name}` of the UKI ends at {found:#x} in memory: expected at most {expected:#x}")]
    OutOfImage {
        /// Name of the section.
        name: String,
        /// Length of the image in memory.
        expected: u32,
        /// End of the section.
        found: u32,
    },
    /// A section has content that the file does not hold.
    #[error("section `{name}` of the UKI has {virtual_size} bytes in memory, but {raw_size} in the file")]
    NotInFile {
        /// Name of the section.
        name: String,
        /// Length in memory.
        virtual_size: u32,
        /// Length in the file.
        raw_size: u32,
    },
    /// A section that is text is none.
    #[error("section `{0}` of the UKI is not UTF-8")]
    NotText(Section),
}

/// Checks that `bytes` are a UKI: [`REQUIRED`] sections, each UKI section once, no two sections overlapping.
pub fn validate_uki(bytes: &[u8]) -> Result<Uki<'_>, UkiError> {
    let pe = Pe::parse(bytes)?;
    let mut seen = vec![];
    for section in pe.sections() {
        let end = section.virtual_address + section.virtual_size;
        if pe.size_of_image() < end {
            return Err(UkiError::OutOfImage {
                name: section.name.clone(),
                expected: pe.size_of_image(),
                found: end,
            });
        }
        let Some(kind) = Section::from_name(&section.name) else { continue };
        if seen.contains(&kind) {
            return Err(UkiError::Duplicate(kind));
        }
        seen.push(kind);
        if section.raw_size < section.virtual_size {
            return Err(UkiError::NotInFile {
                name: section.name.clone(),
                virtual_size: section.virtual_size,
                raw_size: section.raw_size,
            });
        }
    }
    check_overlap(pe.sections(), "the file", |s| (s.raw_offset, s.raw_size))?;
    check_overlap(pe.sections(), "memory", |s| (s.virtual_address, s.virtual_size))?;
    if let Some(missing) = REQUIRED.into_iter().find(|s| pe.read_section(*s).is_none_or(<[u8]>::is_empty)) {
        return Err(UkiError::Missing(missing));
    }
    let uki = Uki { pe };
    uki.text(Section::Cmdline)?;
    uki.text(Section::OsRel)?;
    Ok(uki)
}

impl<'a> Uki<'a> {
    /// Returns the PE file.
    pub fn pe(&self) -> &Pe<'a> {
        &self.pe
    }

    /// Returns the text of a section, without the zeros and white space at its end; `None` where it is missing.
    pub fn text(&self, section: Section) -> Result<Option<&'a str>, UkiError> {
        let Some(bytes) = self.pe.read_section(section) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| UkiError::NotText(section))?;
        Ok(Some(text.trim_end_matches(|c: char| c == '\0' || c.is_whitespace())))
    }

    /// Returns the value of `usrhash=` on the command line.
    pub fn usrhash(&self) -> Option<&'a str> {
        // The command line was checked to be text.
        let cmdline = self.text(Section::Cmdline).ok()??;
        cmdline.split_whitespace().find_map(|word| word.strip_prefix("usrhash="))
    }
}

fn check_overlap(
    sections: &[PeSection],
    place: &'static str,
    range: fn(&PeSection) -> (u32, u32),
) -> Result<(), UkiError> {
    let mut used: Vec<_> = sections.iter().filter(|section| range(section).1 != 0).collect();
    used.sort_by_key(|section| range(section));
    let overlaps = |pair: &[&PeSection]| {
        let ((start, len), (next, _)) = (range(pair[0]), range(pair[1]));
        u64::from(next) < u64::from(start) + u64::from(len)
    };
    match used.windows(2).find(|pair| overlaps(pair)) {
        Some(pair) => {
            Err(UkiError::Overlap { first: pair[0].name.clone(), second: pair[1].name.clone(), place })
        }
        None => Ok(()),
    }
}

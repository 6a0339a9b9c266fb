//! PE32+ files in memory: their sections and what these hold.

use crate::headers::{Headers, PeError, PeSection, to_u64, to_usize};
use crate::section::Section;

/// A parsed PE32+ file. All sections lie inside the file.
#[derive(Debug)]
pub struct Pe<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) headers: Headers,
}

impl<'a> Pe<'a> {
    /// Reads headers and section table of a PE32+ file. Never panics; allocates for the section table only.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PeError> {
        Ok(Self { bytes, headers: Headers::parse(bytes, to_u64(bytes.len()))? })
    }

    /// Returns the sections in the order of the table.
    pub fn sections(&self) -> &[PeSection] {
        &self.headers.sections
    }

    /// Returns the length of the image in memory, as its header says.
    pub fn size_of_image(&self) -> u32 {
        self.headers.size_of_image
    }

    /// Returns what a section of this file holds, without padding. Empty for a section of another file that
    /// does not fit into this one.
    pub fn content(&self, section: &PeSection) -> &'a [u8] {
        let start = to_usize(section.raw_offset);
        let len = to_usize(section.raw_size.min(section.virtual_size));
        start.checked_add(len).and_then(|end| self.bytes.get(start..end)).unwrap_or_default()
    }

    /// Returns what the first section of that kind holds.
    pub fn read_section(&self, section: Section) -> Option<&'a [u8]> {
        let found = self.sections().iter().find(|candidate| candidate.name == section.name())?;
        Some(self.content(found))
    }
}

//! What an ELF file needs at run time: shared libraries, symbol versions, and the libraries it opens itself.

use anyhow::Context as _;
use object::elf::{DT_NEEDED, FileHeader64, NoteType, SHT_NOTE};
use object::read::elf::{Dyn as _, FileHeader as _, SectionHeader as _};
use object::{Endianness, elf};
use serde::Deserialize;

/// Type of the note that lists libraries opened with dlopen(3).
/// Source: <https://uapi-group.org/specifications/specs/elf_dlopen_metadata/>
const NT_FDO_DLOPEN_METADATA: NoteType = NoteType(0x407c_0c0a);

/// Whether the bytes start like an ELF file.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(&elf::ELFMAG)
}

/// Names of the shared libraries that the loader must find, and of those that the program opens when it
/// does what it is there for ("suggested" ones are left out).
pub fn needed_libraries(bytes: &[u8]) -> anyhow::Result<Vec<String>> {
    let (header, endian) = header(bytes)?;
    let sections = header.sections(endian, bytes)?;
    let mut names = Vec::new();
    if let Some((entries, link)) = sections.dynamic(endian, bytes)? {
        let strings = sections.strings(endian, bytes, link)?;
        for entry in entries {
            if entry.tag(endian) == DT_NEEDED {
                let name = entry.string(endian, strings).context("reading the name of a needed library")?;
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    for section in sections.iter().filter(|section| section.sh_type(endian) == SHT_NOTE) {
        let Some(mut notes) = section.notes(endian, bytes)? else { continue };
        while let Some(note) = notes.next()? {
            if note.n_type(endian) == NT_FDO_DLOPEN_METADATA {
                names.extend(opened(note.desc())?);
            }
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Names of the symbol versions that other libraries must offer, such as `GLIBC_2.34`.
pub fn needed_versions(bytes: &[u8]) -> anyhow::Result<Vec<String>> {
    let (header, endian) = header(bytes)?;
    let sections = header.sections(endian, bytes)?;
    let mut names = Vec::new();
    let Some((mut needs, link)) = sections.gnu_verneed(endian, bytes)? else { return Ok(names) };
    let strings = sections.strings(endian, bytes, link)?;
    while let Some((_, mut versions)) = needs.next()? {
        while let Some(version) = versions.next()? {
            names.push(String::from_utf8_lossy(version.name(endian, strings)?).into_owned());
        }
    }
    Ok(names)
}

#[derive(Deserialize)]
struct Opened {
    #[serde(default)]
    priority: Option<String>,
    soname: Vec<String>,
}

fn opened(desc: &[u8]) -> anyhow::Result<Vec<String>> {
    let text = std::str::from_utf8(desc).context("reading a dlopen note")?.trim_end_matches('\0');
    let rows: Vec<Opened> = serde_json::from_str(text).context("reading a dlopen note")?;
    Ok(rows
        .into_iter()
        .filter(|row| row.priority.as_deref() != Some("suggested"))
        .flat_map(|row| row.soname)
        .collect())
}

/// Bytes of the section of that name; `None` without one.
pub fn section<'a>(bytes: &'a [u8], name: &str) -> anyhow::Result<Option<&'a [u8]>> {
    let (header, endian) = header(bytes)?;
    let sections = header.sections(endian, bytes)?;
    let found = sections.section_by_name(endian, name.as_bytes());
    Ok(found.map(|(_, section)| section.data(endian, bytes)).transpose()?)
}

fn header(bytes: &[u8]) -> anyhow::Result<(&FileHeader64<Endianness>, Endianness)> {
    let header = FileHeader64::<Endianness>::parse(bytes).context("not a 64-bit ELF file")?;
    Ok((header, header.endian()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_own_needs() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(needed_libraries(&own).unwrap().iter().any(|name| name.starts_with("libc.so")));
        assert!(needed_versions(&own).unwrap().iter().any(|name| name.starts_with("GLIBC_2.")));
    }

    #[test]
    fn truncated_file_is_an_error() {
        assert!(needed_libraries(b"\x7fELF").is_err());
    }

    #[test]
    fn suggested_libraries_are_left_out() {
        let note = br#"[{"feature":"a","priority":"suggested","soname":["liba.so"]},{"soname":["libb.so"]}]"#;
        assert_eq!(opened(note).unwrap(), ["libb.so"]);
    }
}

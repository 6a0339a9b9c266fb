//! What a virtual machine is handed in: a cloud-config that was checked, and metadata, as the source `fw-cfg` of
//! `crates/cloud-config` reads them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use cloud_config::finding::{Finding, Level, worst};
use cloud_config::metadata::Metadata;
use cloud_config::read::{read, validate};
use cloud_config::substitute::Unknown;

use crate::ctx::Ctx;

/// Name below `opt/` of the entry with the user data.
pub const USER_DATA: &str = "slipway/cloud-config";
/// Name below `opt/` of the entry with the metadata.
pub const METADATA: &str = "slipway/metadata";
/// The kernel reads an entry in pages, and every page from the entry's first byte on: the time grows with the square
/// of the length.
const SLOW_FROM: usize = 64 << 10;

/// Firmware entries by name.
pub type Entries = BTreeMap<String, Vec<u8>>;

/// Reads and checks the files and returns the entries; says what is to be said about them.
pub fn entries(ctx: &Ctx, user_data: &Path, metadata: Option<&Path>) -> anyhow::Result<Entries> {
    let bytes_of = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let (name, bytes) = (user_data.display().to_string(), bytes_of(user_data)?);
    let metadata = metadata.map(bytes_of).transpose()?;
    if bytes.len() > SLOW_FROM {
        ctx.log.warn(&format!(
            "{name} has {} KiB, which reach the machine slowly: a shorter file, or one compressed with gzip, starts sooner",
            bytes.len() >> 10
        ));
    }
    let (entries, findings) = checked(&name, bytes, metadata);
    findings.iter().for_each(|line| ctx.log.line(line));
    entries
}

/// Returns the entries if the machine would take them, and all findings.
fn checked(
    name: &str,
    user_data: Vec<u8>,
    metadata: Option<Vec<u8>>,
) -> (anyhow::Result<Entries>, Vec<String>) {
    let known = match metadata.as_deref().map(Metadata::parse).transpose() {
        Ok(known) => known.unwrap_or_default(),
        Err(err) => return (Err(err.context("checking --metadata")), Vec::new()),
    };
    let (_, findings) = read(&user_data, &known.addresses, Unknown::Refuse);
    let lines = findings.iter().map(|finding| finding.line(name)).collect();
    let is_wrong = |findings: &[Finding]| worst(findings) == Some(Level::Error);
    let entries = || {
        if is_wrong(&findings) {
            // A check knows every address; what is wrong without one is not the file.
            let remedy = if is_wrong(&validate(&user_data)) {
                "correct them first"
            } else {
                "--metadata gives addresses"
            };
            bail!("{name} has errors and would change nothing: {remedy}");
        }
        let metadata = metadata.map(|bytes| (METADATA.to_owned(), bytes));
        Ok([(USER_DATA.to_owned(), user_data)].into_iter().chain(metadata).collect())
    };
    (entries(), lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(user_data: &[u8], metadata: Option<&[u8]>) -> (Result<Entries, String>, Vec<String>) {
        let (entries, lines) = checked("f", user_data.to_vec(), metadata.map(<[u8]>::to_vec));
        (entries.map_err(|err| format!("{err:#}")), lines)
    }

    #[test]
    fn what_is_right_is_handed_in_byte_by_byte() {
        let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for text in [
            &b"#cloud-config\nhostname: a\nwrite_files: [{path: /a, content: \"1,2\"}]\n"[..],
            b"#!/bin/sh\n",
            &packed,
        ] {
            let (entries, lines) = check(text, None);
            assert_eq!(entries.unwrap(), [(USER_DATA.to_owned(), text.to_vec())].into());
            assert_eq!(lines, Vec::<String>::new());
        }
    }

    #[test]
    fn a_warning_is_told_and_an_error_is_not_handed_in() {
        let (entries, lines) = check(b"#cloud-config\nhostnmae: a\n", None);
        assert_eq!(entries.unwrap().len(), 1);
        assert!(lines[0].starts_with("f:2:1: warning: "), "{lines:?}");
        let (entries, lines) = check(b"#cloud-config\nhostname: [a]\n", None);
        assert_eq!(entries.unwrap_err(), "f has errors and would change nothing: correct them first");
        assert!(lines[0].starts_with("f:2:"), "{lines:?}");
    }

    #[test]
    fn an_address_must_be_in_the_metadata() {
        let text = b"#cloud-config\nwrite_files: [{path: /a, content: $private_ipv4}]\n";
        let wrong = check(text, None).0.unwrap_err();
        assert_eq!(wrong, "f has errors and would change nothing: --metadata gives addresses");
        let metadata = br#"{"private_ipv4": "192.0.2.11"}"#;
        let entries = check(text, Some(metadata)).0.unwrap();
        assert_eq!(entries[METADATA], metadata);
        let wrong = check(text, Some(b"{")).0.unwrap_err();
        assert!(wrong.starts_with("checking --metadata: parsing the metadata"), "{wrong}");
    }
}

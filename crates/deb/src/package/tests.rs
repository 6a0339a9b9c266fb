//! Packages made here and what is read from them.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

/// One file of a package under test: path, type, link target, mode, content.
pub(crate) type Entry<'a> = (&'a str, tar::EntryType, &'a str, u32, &'a [u8]);

/// Returns a tar whose names are written as they are, `..` included.
pub(crate) fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, kind, target, mode, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(*kind);
        // Looked at in sparse members only.
        header.as_gnu_mut().unwrap().realsize = *b"00000000000\0";
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(42);
        header.set_mtime(1_000_000_000);
        header.set_username("root").unwrap();
        header.set_groupname("shadow").unwrap();
        header.set_size(content.len().try_into().unwrap());
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

pub(crate) fn ar_of(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for (name, content) in parts {
        writeln!(bytes, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, "100644", content.len()).unwrap();
        bytes.extend_from_slice(content);
        if content.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

pub(crate) fn deb_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let control = tar_of(&[("./control", tar::EntryType::Regular, "", 0o644, b"Package: x\n")]);
    let (control, data) =
        (zstd::encode_all(&control[..], 1).unwrap(), liblzma::encode_all(&tar_of(entries)[..], 1).unwrap());
    ar_of(&[("debian-binary", b"2.0\n"), ("control.tar.zst", &control), ("data.tar.xz", &data)])
}

#[test]
fn lists_members_with_owner_and_mode() {
    let deb = deb_of(&[
        ("./", tar::EntryType::Directory, "", 0o755, b""),
        ("./usr/bin/chage", tar::EntryType::Regular, "", 0o2755, b"hello"),
        ("./usr/bin/age", tar::EntryType::Link, "./usr/bin/chage", 0o2755, b""),
        ("./bin/sh", tar::EntryType::Symlink, "../x/dash", 0o777, b""),
    ]);
    let members = data_members(&deb[..]).unwrap();
    assert_eq!(
        members.iter().map(|m| m.path.as_str()).collect::<Vec<_>>(),
        ["", "usr/bin/chage", "usr/bin/age", "bin/sh"]
    );
    let chage = &members[1];
    assert_eq!((chage.mode, chage.uid, chage.gid), (0o2755, 0, 42));
    assert_eq!((chage.user.as_str(), chage.group.as_str(), chage.mtime), ("root", "shadow", 1_000_000_000));
    assert_eq!(chage.kind, Kind::File { size: 5 });
    assert_eq!(members[2].kind, Kind::Hardlink { target: "usr/bin/chage".into() });
    assert_eq!(members[3].kind, Kind::Symlink { target: "../x/dash".into() });
    assert_eq!(control(&deb[..]).unwrap(), "Package: x\n");
}

#[test]
fn rejects_paths_that_leave_the_tree() {
    for path in ["/etc/passwd", "./../x", "usr/../../x"] {
        let deb = deb_of(&[(path, tar::EntryType::Regular, "", 0o644, b"")]);
        assert!(matches!(data_members(&deb[..]), Err(PackageError::Outside(found)) if found == path));
    }
    let deb = deb_of(&[("a", tar::EntryType::Link, "../b", 0o644, b"")]);
    assert!(matches!(data_members(&deb[..]), Err(PackageError::Outside(_))));
}

#[test]
fn rejects_what_is_no_package() {
    let whole = deb_of(&[("./a", tar::EntryType::Regular, "", 0o644, b"x")]);
    assert!(matches!(data_members(&b"!<arch>"[..]), Err(PackageError::Read(_))));
    assert!(matches!(data_members(&b"not a package"[..]), Err(PackageError::Magic)));
    let mut broken = whole.clone();
    broken[8 + 58] = b'x';
    assert!(matches!(data_members(&broken[..]), Err(PackageError::Header { part: 1 })));
    let other = ar_of(&[("debian-binary", b"3.0\n")]);
    assert!(matches!(data_members(&other[..]), Err(PackageError::Format { found }) if found == "3.0"));
    let other = ar_of(&[("debian-binary", b"2.0\n"), ("data.tar", b"")]);
    assert!(matches!(data_members(&other[..]), Err(PackageError::Part { part: 2, .. })));
    let deb = deb_of(&[("a", tar::EntryType::new(b'Z'), "", 0o644, b"")]);
    assert!(matches!(data_members(&deb[..]), Err(PackageError::Kind { found: b'Z', .. })));
    let deb = deb_of(&[("a", tar::EntryType::GNUSparse, "", 0o644, b"")]);
    assert!(matches!(data_members(&deb[..]), Err(PackageError::Kind { found: b'S', .. })));
    let deb = deb_of(&[("a", tar::EntryType::Symlink, "b\u{1}", 0o644, b"")]);
    assert!(data_members(&deb[..]).is_ok());
}

#[test]
fn rejects_every_truncation() {
    let whole = deb_of(&[("./a", tar::EntryType::Regular, "", 0o644, b"content")]);
    for len in (0..whole.len() - 1).step_by(7) {
        assert!(data_members(&whole[..len]).is_err(), "cut at {len}");
    }
}

proptest! {
    #[test]
    fn survives_any_changed_byte(at in 0usize..600, byte: u8) {
        let mut deb = deb_of(&[("./a", tar::EntryType::Regular, "", 0o644, b"content")]);
        let at = at % deb.len();
        deb[at] = byte;
        // Only that it returns; xz notices most changes, the padding of `ar` means nothing.
        if let Ok(members) = data_members(&deb[..]) {
            prop_assert!(members.iter().all(|member| !member.path.starts_with('/')));
        }
    }
}

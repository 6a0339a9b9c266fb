//! What may be a name: of hosts, users, units, files and time zones. Errors say what is wrong, without the name.

/// Ends of names of units that the service manager runs.
const UNIT_TYPES: [&str; 11] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];
/// Ends of names of files that networkd and udev read.
const NETWORK_TYPES: [&str; 3] = [".network", ".netdev", ".link"];
/// Of the 255 that a file system takes, some are for the name that a file has while it is written.
const NAME_MAX: usize = 223;
const PATH_MAX: usize = 4095;
/// Trees of the sealed system: `/bin` and its kin are links into `/usr`.
const READ_ONLY: [&str; 5] = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];
/// Trees of the kernel, where a file cannot be made.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Old names of folders, which are links now, and the folders.
const MOVED: [(&str, &str); 2] = [("/var/run", "/run"), ("/var/lock", "/run/lock")];

/// The message of a path in the sealed system, as of old.
pub const READ_ONLY_MESSAGE: &str = "file cannot be written to a read-only filesystem";

/// Tells whether a name is that of a file for networkd or udev.
pub fn is_network(unit: &str) -> bool {
    NETWORK_TYPES.iter().any(|end| unit.ends_with(end))
}

/// Checks the name of a unit or of a file for networkd.
pub fn unit(name: &str) -> Result<(), &'static str> {
    let types = UNIT_TYPES.iter().chain(&NETWORK_TYPES);
    let Some(stem) = types.filter_map(|end| name.strip_suffix(end)).next() else {
        return Err("has no type of unit at its end, as in `.service`");
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    match () {
        () if stem.is_empty() || stem.starts_with('@') || stem.starts_with('-') => {
            Err("begins with what no unit's name does")
        }
        () if name.len() > NAME_MAX => Err("is longer than 223 characters"),
        () if name.contains('/') => Err("has a slash"),
        () if !stem.bytes().all(allowed) => Err("has characters other than a-z, A-Z, 0-9 and :-_.\\@"),
        () => Ok(()),
    }
}

/// Checks the name of a drop-in.
pub fn drop_in(name: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    match name.strip_suffix(".conf") {
        None => Err("does not end in `.conf`"),
        Some("") => Err("has nothing before `.conf`"),
        Some(_) if name.contains('/') => Err("has a slash"),
        Some(_) if name.len() > NAME_MAX => Err("is longer than 223 characters"),
        Some(stem) if stem.starts_with('.') || !stem.bytes().all(allowed) => {
            Err("has characters other than a-z, A-Z, 0-9 and :-_.\\@, or begins with a dot")
        }
        Some(_) => Ok(()),
    }
}

/// Checks the name of a user or group, as useradd(8) wants it.
pub fn account(name: &str) -> Result<(), &'static str> {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let other = |byte: u8| first(byte) || byte.is_ascii_digit() || byte == b'-';
    match name.as_bytes() {
        [] => Err("is empty"),
        name if name.len() > 31 => Err("is longer than 31 characters"),
        [head, tail @ ..] if first(*head) && tail.iter().copied().all(other) => Ok(()),
        _ => Err("is not a-z or _, then a-z, 0-9, _ and -"),
    }
}

/// Checks the name of a host: labels with dots between, 64 characters at most.
pub fn hostname(name: &str) -> Result<(), &'static str> {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match () {
        () if name.len() > 64 => Err("is longer than 64 characters"),
        () if !name.split('.').all(label) => Err("is not letters, digits and -, with dots between"),
        () => Ok(()),
    }
}

/// Checks the name of a time zone, as in `Europe/Berlin`.
pub fn time_zone(name: &str) -> Result<(), &'static str> {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-_".contains(&byte))
    };
    if name.len() <= 64 && name.split('/').all(part) { Ok(()) } else { Err("is no name of a time zone") }
}

/// Checks the path of a file to write, and returns it without doubled slashes, dots and old names of folders.
pub fn file_path(path: &str) -> Result<String, &'static str> {
    if !path.starts_with('/') {
        return Err("file path is not absolute");
    }
    if path.ends_with('/') {
        return Err("file path ends with a slash");
    }
    if path.len() > PATH_MAX || path.split('/').any(|part| part.len() > NAME_MAX) {
        return Err("file path is too long");
    }
    if path.chars().any(char::is_control) {
        return Err("file path has control characters");
    }
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("file path has `..`");
    }
    let mut path: String = parts.iter().flat_map(|part| ["/", part]).collect();
    for (old, new) in MOVED {
        if is_below(&path, old) {
            path = format!("{new}{}", &path[old.len()..]);
        }
    }
    match () {
        () if READ_ONLY.iter().any(|tree| is_below(&path, tree)) => Err(READ_ONLY_MESSAGE),
        () if KERNEL.iter().any(|tree| is_below(&path, tree)) => {
            Err("file cannot be made in a tree of the kernel")
        }
        () if parts.is_empty() => Err("file path is the root folder"),
        () => Ok(path),
    }
}

/// Checks a path that a program takes: absolute, without control characters and colons.
pub fn plain_path(path: &str) -> Result<(), &'static str> {
    let is_plain = path.starts_with('/') && !path.contains(':') && !path.chars().any(char::is_control);
    if is_plain && !path.split('/').any(|part| part == "..") {
        Ok(())
    } else {
        Err("is no absolute path without colons and `..`")
    }
}

/// Tells whether a path is a tree or in it.
pub fn is_below(path: &str, tree: &str) -> bool {
    path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_a_type_and_no_slash() {
        for good in [
            "etcd.service",
            "a@.service",
            "a@b.service",
            "dev-sda\\x2d1.mount",
            "00-eth0.network",
            "a.b.path",
        ] {
            assert_eq!(unit(good), Ok(()), "{good}");
        }
        let long = format!("{}.service", "a".repeat(255));
        for wrong in [
            "",
            "etcd",
            ".service",
            "@.service",
            "../a.service",
            "a/b.service",
            "a b.service",
            "-a.service",
            "a.conf",
            "ä.service",
            &long,
        ] {
            assert!(unit(wrong).is_err(), "{wrong}");
        }
        assert_eq!([is_network("a.network"), is_network("a.service")], [true, false]);
    }

    #[test]
    fn drop_ins_end_in_conf() {
        assert_eq!(drop_in("10-a.conf"), Ok(()));
        for wrong in ["a", ".conf", "..conf", "a/b.conf", "../a.conf", "a b.conf", "a.conf/"] {
            assert!(drop_in(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn accounts_hosts_and_zones() {
        for good in ["core", "_a", "a-b_9"] {
            assert_eq!(account(good), Ok(()), "{good}");
        }
        for wrong in ["", "-r", "Core", "a b", "a:b", "9a", "../a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert!(account(wrong).is_err(), "{wrong}");
        }
        for good in ["a", "node-1.example.org", "10"] {
            assert_eq!(hostname(good), Ok(()), "{good}");
        }
        for wrong in ["", "a..b", "-a", "a_b", "a b", "a\n", &"a".repeat(65)] {
            assert!(hostname(wrong).is_err(), "{wrong}");
        }
        for good in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert_eq!(time_zone(good), Ok(()), "{good}");
        }
        for wrong in ["", "/UTC", "../etc/passwd", "Europe/", "a/../b"] {
            assert!(time_zone(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_of_files_stay_where_files_can_be() {
        assert_eq!(file_path("/etc//a/./b").as_deref(), Ok("/etc/a/b"));
        assert_eq!(file_path("/var/run/a").as_deref(), Ok("/run/a"));
        assert_eq!(file_path("/var/lock/a").as_deref(), Ok("/run/lock/a"));
        assert_eq!(file_path("/usrlocal/a").as_deref(), Ok("/usrlocal/a"));
        for wrong in ["/usr/bin/a", "/bin/sh", "/lib/a", "/usr", "//usr/./a"] {
            assert_eq!(file_path(wrong), Err(READ_ONLY_MESSAGE), "{wrong}");
        }
        for wrong in ["", "a", "/", "/a/", "/etc/../usr/a", "/..", "/a\nb", "/proc/sys/a", "/dev/sda", "/a\0"]
        {
            assert!(file_path(wrong).is_err(), "{wrong}");
        }
        assert!(file_path(&format!("/{}", "a".repeat(300))).is_err());
    }
}

//! Why the machine ended up in emergency mode, in one line.

use agent_support::boot;
use agent_support::host::Host;

use crate::tools;

/// Returns the reason: what our own units left, what is plainly missing, and the units that failed.
pub fn collect(host: &Host) -> String {
    let mut reasons = Vec::new();
    match host.read(boot::INITRD_FAILED_FILE) {
        Ok(text) => reasons.extend(text),
        Err(err) => reasons.push(format!("{err:#}")),
    }
    if host.in_initrd() {
        reasons.extend(missing(host));
    }
    match tools::systemctl_failed() {
        Ok(units) => {
            reasons.extend(units.iter().map(|unit| failed(&unit.unit, tools::journal_last_line(&unit.unit))))
        }
        Err(err) => reasons.push(format!("{err:#}")),
    }
    if reasons.is_empty() {
        "no unit failed, but the start did not go on".to_owned()
    } else {
        reasons.join("; ")
    }
}

/// Names a failed unit with its last words, where the journal has them.
fn failed(unit: &str, said: anyhow::Result<String>) -> String {
    match said {
        Ok(said) if !said.is_empty() => format!("{unit} failed: {said}"),
        // Its name is what matters; why the journal is silent is not.
        Ok(_) | Err(_) => format!("{unit} failed"),
    }
}

/// Names what the initrd waits for and does not have: a device that never appears fails no unit.
fn missing(host: &Host) -> Option<String> {
    let root_hash = match host.root_hash() {
        Ok(root_hash) => root_hash?,
        Err(err) => return Some(format!("{err:#}")),
    };
    let Some((data, verity)) = partition_uuids(&root_hash) else {
        return Some(format!("usrhash= is no root hash: {root_hash}"));
    };
    for (uuid, what) in [(data, "usr"), (verity, "usr verity")] {
        if !host.path("/dev/disk/by-partuuid").join(&uuid).exists() {
            let missing = format!("no {what} partition {uuid} for root hash {root_hash}");
            return Some(match on_another_disk(host, &uuid) {
                None => missing,
                Some(disk) => format!(
                    "{missing} on the disk that was started; another disk has one, {disk}: take one of them out, or \
                     choose in the firmware which is started"
                ),
            });
        }
    }
    if !host.path("/dev/mapper/usr").exists() {
        return Some(format!("the verity device of /usr did not open with root hash {root_hash}"));
    }
    if !host.path("/sysroot/usr/lib").exists() {
        return Some("/usr was not mounted".to_owned());
    }
    let mounts = host.read("/proc/self/mountinfo").ok().flatten().unwrap_or_default();
    let root_mounted = mounts.lines().any(|line| line.split(' ').nth(4) == Some("/sysroot"));
    (!root_mounted).then(|| "the root file system was not mounted".to_owned())
}

/// Returns by which way another disk than the one that was started is attached, if it has that partition: its links by
/// UUID alone are not made (61-slipway-disk.rules).
fn on_another_disk(host: &Host, uuid: &str) -> Option<String> {
    const BY_PATH: &str = "/dev/disk/by-path";
    // A folder that cannot be listed has no disk to name.
    let ways = host.list(BY_PATH).unwrap_or_default();
    let has_it = |way: &String| {
        way.ends_with("-part") && host.path(BY_PATH).join(way).join("by-partuuid").join(uuid).exists()
    };
    ways.iter().find(|way| has_it(way)).map(|way| way.trim_end_matches("-part").to_owned())
}

/// Returns the UUIDs of the slot of a root hash: its first and its last 128 bits.
fn partition_uuids(root_hash: &str) -> Option<(String, String)> {
    const UUID_DIGITS: usize = 32;
    if root_hash.len() < 2 * UUID_DIGITS || !root_hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digits = root_hash.to_ascii_lowercase();
    let uuid = |d: &str| format!("{}-{}-{}-{}-{}", &d[..8], &d[8..12], &d[12..16], &d[16..20], &d[20..]);
    Some((uuid(&digits[..UUID_DIGITS]), uuid(&digits[digits.len() - UUID_DIGITS..])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    const HASH: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789ABCDEF";
    const DATA: &str = "/dev/disk/by-partuuid/00112233-4455-6677-8899-aabbccddeeff";
    const VERITY: &str = "/dev/disk/by-partuuid/01234567-89ab-cdef-0123-456789abcdef";

    #[track_caller]
    fn check(files: &[&str], expected: &str) {
        let tree = Tree::new();
        tree.file("/proc/cmdline", format!("usrhash={HASH}\n"));
        for file in files {
            tree.file(file, "1 2 3:4 / /sysroot rw");
        }
        assert_eq!(missing(&tree.host).unwrap_or_default(), expected);
    }

    #[test]
    fn names_the_first_thing_that_is_missing() {
        check(&[], &format!("no usr partition 00112233-4455-6677-8899-aabbccddeeff for root hash {HASH}"));
        let no_verity = "no usr verity partition 01234567-89ab-cdef-0123-456789abcdef for root hash";
        check(&[DATA], &format!("{no_verity} {HASH}"));
        let other = "/dev/disk/by-path/pci-0000:00:04.0-nvme-1-part/by-partuuid/\
                     00112233-4455-6677-8899-aabbccddeeff";
        check(
            &[other, "/dev/disk/by-path/pci-0000:00:04.0-nvme-1"],
            &format!(
                "no usr partition 00112233-4455-6677-8899-aabbccddeeff for root hash {HASH} on the disk that was \
                 started; another disk has one, pci-0000:00:04.0-nvme-1: take one of them out, or choose in the \
                 firmware which is started"
            ),
        );
        check(&[DATA, VERITY], &format!("the verity device of /usr did not open with root hash {HASH}"));
        check(&[DATA, VERITY, "/dev/mapper/usr"], "/usr was not mounted");
        let mounted = [DATA, VERITY, "/dev/mapper/usr", "/sysroot/usr/lib/os-release"];
        check(&mounted, "the root file system was not mounted");
        check(&[&mounted[..], &["/proc/self/mountinfo"]].concat(), "");
    }

    #[test]
    fn a_failed_unit_is_quoted() {
        assert_eq!(failed("a.service", Ok("no space".to_owned())), "a.service failed: no space");
        assert_eq!(failed("a.service", Ok(String::new())), "a.service failed");
        assert_eq!(failed("a.service", Err(anyhow::anyhow!("no journal"))), "a.service failed");
    }

    #[test]
    fn a_root_hash_that_is_none_is_said_so() {
        assert_eq!(partition_uuids("xyz"), None);
        assert_eq!(partition_uuids(&"g".repeat(64)), None);
    }
}

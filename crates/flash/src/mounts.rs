//! What the kernel says of mounts and swap: `/proc/self/mountinfo` and `/proc/swaps` (proc_pid_mountinfo(5)).
//!
//! A line that is none is passed over: what is held without our knowing it refuses to be opened.

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Device number as `major:minor`; of some file systems (btrfs) it is no device's.
    pub number: String,
    /// Where it is mounted.
    pub point: String,
    /// What was mounted, as it was named then.
    pub source: String,
}

/// Returns the mounts in the order of the file.
pub fn parse_mountinfo(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_mount).collect()
}

fn parse_mount(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ');
    let (number, point) = (front.nth(2)?, front.nth(1)?);
    let source = back.split(' ').nth(1)?;
    Some(Mount { number: number.to_owned(), point: unescape(point), source: unescape(source) })
}

/// Returns the paths of devices and files that are swapped to.
pub fn parse_swaps(text: &str) -> Vec<String> {
    let lines = text.lines().skip(1);
    lines
        .filter_map(|line| line.split([' ', '\t']).next())
        .filter(|path| !path.is_empty())
        .map(unescape)
        .collect()
}

/// Turns the kernel's `\040` back into the blank that it stands for.
fn unescape(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(u8::is_ascii_digit));
        let value = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() { &after[3..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mounts_have_number_point_and_source() {
        let text = "22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
                    36 22 0:31 / /mnt/a\\040b rw,noatime shared:5 master:2 - btrfs /dev/sdb1 rw\n\
                    no line\n40 22 8:17 / /x rw - vfat\n";
        let mount = |number: &str, point: &str, source: &str| Mount {
            number: number.to_owned(),
            point: point.to_owned(),
            source: source.to_owned(),
        };
        let expected = [mount("259:2", "/", "/dev/root"), mount("0:31", "/mnt/a b", "/dev/sdb1")];
        assert_eq!(parse_mountinfo(text), expected);
    }

    #[test]
    fn swaps_are_devices_and_files() {
        let text = "Filename\t\t\t\tType\t\tSize\n/dev/dm-1                               partition\t1\n/a\\040b file\t2\n\n";
        assert_eq!(parse_swaps(text), ["/dev/dm-1", "/a b"]);
        assert_eq!(parse_swaps(""), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>, text in "[ -~\\\\0-9\n]{0,80}") {
            for text in [String::from_utf8_lossy(&bytes).into_owned(), text] {
                let n_lines = text.lines().count();
                prop_assert!(parse_mountinfo(&text).len() <= n_lines);
                prop_assert!(parse_swaps(&text).len() <= n_lines);
            }
        }

        #[test]
        fn what_the_kernel_escapes_comes_back(point in "/[a-z \t\\\\]{0,20}") {
            let escaped: String = point
                .bytes()
                .map(|byte| match byte {
                    b' ' | b'\t' | b'\\' => format!("\\{byte:03o}"),
                    byte => char::from(byte).to_string(),
                })
                .collect();
            let line = format!("1 2 8:1 / {escaped} rw - ext4 /dev/sda1 rw");
            prop_assert_eq!(&parse_mountinfo(&line)[0].point, &point);
        }
    }
}

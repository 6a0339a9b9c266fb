//! Kernel crashes that ended a try: what systemd-pstore(8) saved from the firmware becomes the try's reason.
//!
//! Without that, a try that panicked in user space would look like one whose power was cut.

use agent_support::host::Host;
use agent_support::tries::Try;
use anyhow::Context;

/// Where systemd-pstore moves records: one folder per crash, named after its time in seconds since 1970.
pub const DIR: &str = "/var/lib/systemd/pstore";
/// Beginnings, behind the time stamp, of the lines that say why a kernel stopped.
const MARKS: [&str; 3] = ["Kernel panic - ", "BUG: ", "Oops: "];
/// More of a log than any firmware keeps.
const LOG_MAX: u64 = 4 << 20;

/// A crash of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// Seconds since 1970.
    pub time: u64,
    /// The line of the kernel that tells it.
    pub text: String,
}

/// Returns the saved crashes, oldest first; a folder without a log of the kernel is left out.
pub fn load(host: &Host) -> anyhow::Result<Vec<Crash>> {
    let mut crashes = Vec::new();
    for name in host.list(DIR)? {
        let Ok(time) = name.parse() else { continue };
        // Records of efi_pstore lie one folder deeper, which counts the crashes of that second.
        let mut dirs = vec![format!("{DIR}/{name}")];
        dirs.extend(
            host.list(&dirs[0])?
                .iter()
                .filter(|n| n.parse::<u32>().is_ok())
                .map(|n| format!("{DIR}/{name}/{n}")),
        );
        for dir in dirs {
            if let Some(text) = read_log(host, &format!("{dir}/dmesg.txt"))? {
                crashes.push(Crash { time, text });
            }
        }
    }
    crashes.sort_by_key(|crash| crash.time);
    Ok(crashes)
}

/// Returns the tries that ended in one of `crashes`, with the reason filled in.
///
/// A crash belongs to the last try that had written a record before it. A try that gave its own reason keeps it.
pub fn explain(tries: &[Try], crashes: &[Crash]) -> Vec<Try> {
    let mut explained = Vec::new();
    for crash in crashes {
        let ended =
            tries.iter().filter(|record| record.time <= crash.time).max_by_key(|record| record.number);
        if let Some(record) = ended.filter(|record| record.reason.is_empty()) {
            explained.retain(|other: &Try| other.number != record.number);
            explained.push(Try { reason: crash.text.clone(), ..record.clone() });
        }
    }
    explained
}

fn read_log(host: &Host, path: &str) -> anyhow::Result<Option<String>> {
    let file = host.path(path);
    let size = match file.metadata() {
        Ok(meta) => meta.len(),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err).with_context(|| format!("reading {path}")),
    };
    if LOG_MAX < size {
        return Ok(None);
    }
    let log = std::fs::read(&file).with_context(|| format!("reading {path}"))?;
    let log = String::from_utf8_lossy(&log);
    let messages =
        || log.lines().map(|line| line.split_once("] ").map_or(line, |(_, message)| message).trim());
    let told = MARKS.iter().find_map(|mark| messages().find(|message| message.starts_with(mark)));
    Ok(Some(told.unwrap_or("the kernel crashed").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;
    use agent_support::tries::Stage;

    const LOG: &str =
        "<4>[   12.1] something\n<0>[   12.3] Kernel panic - not syncing: sysrq triggered crash\n";

    fn attempt(number: u32, time: u64, reason: &str) -> Try {
        Try { number, stage: Stage::Userspace, reason: reason.to_owned(), time }
    }

    #[test]
    fn finds_the_line_that_tells_why() {
        let tree = Tree::new();
        tree.file(&format!("{DIR}/1700000100/001/dmesg.txt"), LOG)
            .file(&format!("{DIR}/1700000100/001/dmesg-efi_pstore-170000010001001"), "x")
            .file(&format!("{DIR}/1700000050/dmesg.txt"), "<4>[ 1.0] cut\n")
            .file(&format!("{DIR}/notes/dmesg.txt"), LOG)
            .file(&format!("{DIR}/1700000200/other"), "");
        let crash = |time, text: &str| Crash { time, text: text.to_owned() };
        let panic = crash(1_700_000_100, "Kernel panic - not syncing: sysrq triggered crash");
        assert_eq!(load(&tree.host).unwrap(), [crash(1_700_000_050, "the kernel crashed"), panic]);
        assert_eq!(load(&Tree::new().host).unwrap(), []);
    }

    #[test]
    fn a_crash_explains_the_try_that_it_ended() {
        let tries = [attempt(1, 100, ""), attempt(2, 200, ""), attempt(3, 300, "docker: no answer")];
        let crash = |time| Crash { time, text: "Kernel panic".to_owned() };
        assert_eq!(explain(&tries, &[crash(150)]), [attempt(1, 100, "Kernel panic")]);
        assert_eq!(explain(&tries, &[crash(250)]), [attempt(2, 200, "Kernel panic")]);
        assert_eq!(explain(&tries, &[crash(350)]), []);
        assert_eq!(explain(&tries, &[crash(50)]), []);
    }
}

//! Terminals of users who are logged in.
//!
//! The image has no utmp: logind knows the sessions, and of those over SSH not the terminal. That is what the processes
//! of the session have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use agent_support::host::Host;
use rustix::fs::OFlags;
use serde::Deserialize;

use crate::programs::{self, Error};

const LOGINCTL: &str = "loginctl";
const WITHIN: Duration = Duration::from_secs(20);
/// Major numbers of pseudo terminals, with 256 minor ones each.
const PTS: std::ops::RangeInclusive<u32> = 136..=143;

/// A session in the JSON of `loginctl list-sessions`; only what is used.
#[derive(Debug, Deserialize)]
struct Session {
    session: String,
    #[serde(default)]
    class: Option<String>,
    #[serde(default)]
    leader: Option<u32>,
    #[serde(default)]
    tty: Option<String>,
}

/// Returns the terminals that can be written to, as names below `/dev`.
///
/// # Errors
/// When logind does not say who is logged in.
pub async fn terminals(host: &Host) -> Result<BTreeSet<String>, Error> {
    let args = ["list-sessions", "--json=short"];
    let out = programs::run(LOGINCTL, &args, WITHIN).await?;
    let sessions: Vec<Session> = programs::json(&out, LOGINCTL, &args)?;
    if !sessions.iter().any(|session| is_of_a_user(host, session)) {
        return Ok(BTreeSet::new());
    }
    let by_session = of_processes(host);
    let mut names = BTreeSet::new();
    for session in sessions.into_iter().filter(|session| is_of_a_user(host, session)) {
        names.extend(session.tty.into_iter().filter(|tty| !tty.is_empty()));
        names.extend(by_session.get(&session.session).into_iter().flatten().cloned());
    }
    names.retain(|name| open(host, name).is_ok());
    Ok(names)
}

/// Opens a terminal for writing, so that nothing waits for one that is stuck.
///
/// # Errors
/// When it is gone.
pub fn open(host: &Host, name: &str) -> std::io::Result<File> {
    let flags = i32::try_from((OFlags::NOCTTY | OFlags::NONBLOCK).bits()).map_err(std::io::Error::other)?;
    OpenOptions::new().write(true).custom_flags(flags).open(host.path(&format!("/dev/{name}")))
}

/// A session whose leader is gone is only closing.
fn is_of_a_user(host: &Host, session: &Session) -> bool {
    let is_user = session.class.as_deref().is_none_or(|class| class.starts_with("user"));
    let is_there = session.leader.is_none_or(|leader| host.path(&format!("/proc/{leader}")).exists());
    is_user && is_there
}

/// The terminals of all processes that belong to a session, by the session. Processes end while they are looked at;
/// what cannot be read is not there any more.
fn of_processes(host: &Host) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let Ok(entries) = fs::read_dir(host.path("/proc")) else { return found };
    for entry in entries.flatten() {
        let (cgroup, stat) = (entry.path().join("cgroup"), entry.path().join("stat"));
        let Ok(cgroup) = fs::read_to_string(cgroup) else { continue };
        let Some(session) = session_of(&cgroup) else { continue };
        let Some(number) = fs::read_to_string(stat).ok().and_then(|stat| terminal_of(&stat)) else {
            continue;
        };
        if let Some(name) = name_of(host, number) {
            found.entry(session.to_owned()).or_default().insert(name);
        }
    }
    found
}

/// `0::/user.slice/user-500.slice/session-3.scope` is of session 3.
fn session_of(cgroup: &str) -> Option<&str> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/user.slice/"))?;
    let scope = path.split('/').find_map(|part| part.strip_prefix("session-"))?;
    scope.strip_suffix(".scope")
}

/// The device number of the controlling terminal: the fifth field behind the name, which may have anything in it.
fn terminal_of(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let number: i64 = fields.split_whitespace().nth(4)?.parse().ok()?;
    u32::try_from(number).ok().filter(|number| *number != 0)
}

fn name_of(host: &Host, number: u32) -> Option<String> {
    let major = number >> 8 & 0xfff;
    let minor = number & 0xff | number >> 12 & 0xf_ff00;
    if PTS.contains(&major) {
        return Some(format!("pts/{}", (major - PTS.start()) * 256 + minor));
    }
    let uevent = host.read(&format!("/sys/dev/char/{major}:{minor}/uevent")).ok()??;
    uevent.lines().find_map(|line| line.strip_prefix("DEVNAME=")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;

    use super::*;

    #[test]
    fn a_process_tells_its_session_and_its_terminal() {
        assert_eq!(session_of("0::/user.slice/user-500.slice/session-3.scope\n"), Some("3"));
        assert_eq!(session_of("0::/user.slice/user-500.slice/user@500.service/app.slice\n"), None);
        assert_eq!(session_of("0::/system.slice/session-3.scope\n"), None);
        assert_eq!(terminal_of("7 (a) b) c) S 1 7 7 34817 7 4194304 1"), Some(34_817));
        assert_eq!(terminal_of("7 (x) S 1 7 7 0 -1 4194304"), None);
    }

    #[test]
    fn terminals_have_names_below_dev() {
        let tree = Tree::new();
        tree.file("/sys/dev/char/4:65/uevent", "MAJOR=4\nMINOR=65\nDEVNAME=ttyS1\n");
        assert_eq!(name_of(&tree.host, 136 << 8 | 1).as_deref(), Some("pts/1"));
        assert_eq!(name_of(&tree.host, 137 << 8 | 2).as_deref(), Some("pts/258"));
        assert_eq!(name_of(&tree.host, 4 << 8 | 65).as_deref(), Some("ttyS1"));
        assert_eq!(name_of(&tree.host, 5 << 8), None);
    }

    #[test]
    fn terminals_are_those_of_the_sessions_processes() {
        let tree = Tree::new();
        let process = |id: u32, cgroup: &str, tty: u32| {
            tree.file(&format!("/proc/{id}/cgroup"), format!("0::{cgroup}\n"));
            tree.file(&format!("/proc/{id}/stat"), format!("{id} (sh) S 1 1 1 {tty} 1 1"));
        };
        process(10, "/user.slice/user-500.slice/session-3.scope", 0);
        process(11, "/user.slice/user-500.slice/session-3.scope", 136 << 8);
        process(12, "/system.slice/docker-1.scope", 136 << 8 | 9);
        process(13, "/user.slice/user-500.slice/session-4.scope", 136 << 8 | 2);
        let found = of_processes(&tree.host);
        assert_eq!(found["3"], ["pts/0".to_owned()].into());
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn services_of_users_and_closing_sessions_are_nobody() {
        let tree = Tree::new();
        tree.file("/proc/10/stat", "");
        let session = |text: &str| is_of_a_user(&tree.host, &serde_json::from_str(text).unwrap());
        assert!(session(
            r#"{"session":"3","uid":500,"user":"core","seat":null,"leader":10,"class":"user","tty":null}"#
        ));
        assert!(!session(r#"{"session":"2","leader":10,"class":"manager"}"#));
        assert!(!session(r#"{"session":"3","leader":99,"class":"user"}"#));
    }
}

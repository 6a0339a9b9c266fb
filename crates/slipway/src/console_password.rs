//! The console login: exists only while the oem partition holds a password hash for `core`.

use agent_support::durable;
use agent_support::host::Host;
use anyhow::Context;

use crate::tools;

/// The hash, as `openssl passwd -6` prints it, on a line of its own.
const HASH_FILE: &str = "/oem/console-password";
/// The hash that we set last: only that one is taken away again, not what an administrator set by other means.
const APPLIED_FILE: &str = "/var/lib/slipway/console-password";
/// The account.
const USER: &str = "core";
/// Field of /etc/shadow with which nobody can log in by password; keys still work.
const LOCKED: &str = "!*";
/// Longest hash that crypt(5) makes.
const HASH_MAX: usize = 384;
/// Hash methods taken, by their prefix (crypt(5)); older ones are too weak.
const METHODS: [&str; 6] = ["$y$", "$gy$", "$7$", "$2b$", "$6$", "$5$"];

/// What to do with the account.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    Set(String),
    Lock,
}

/// Brings the account in line with the oem partition.
pub fn run(host: &Host) -> anyhow::Result<()> {
    let wanted = wanted(host)?;
    let applied = host.read(APPLIED_FILE)?;
    let shadow = host.read("/etc/shadow")?.unwrap_or_default();
    let change = change(wanted.as_deref(), applied.as_deref(), field(&shadow));
    match &change {
        Change::Nothing => return Ok(()),
        Change::Set(hash) => {
            // Known as ours before it is set: a power cut in between must not leave a password that stays.
            write_applied(host, hash)?;
            tools::set_password_hash(USER, hash)?;
            println!("console login as {USER} is open: {HASH_FILE} has a password hash");
        }
        Change::Lock => {
            tools::set_password_hash(USER, LOCKED)?;
            durable::remove(&host.path(APPLIED_FILE))?;
            println!("console login as {USER} is closed: {HASH_FILE} is gone");
        }
    }
    Ok(())
}

fn wanted(host: &Host) -> anyhow::Result<Option<String>> {
    let Some(text) = host.read(HASH_FILE)? else { return Ok(None) };
    parse_hash(&text).with_context(|| format!("parsing {HASH_FILE}")).map(Some)
}

fn write_applied(host: &Host, hash: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = host.path(APPLIED_FILE);
    durable::write(&path, hash.as_bytes())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("setting the mode of {}", path.display()))
}

fn change(wanted: Option<&str>, applied: Option<&str>, current: Option<&str>) -> Change {
    match wanted {
        Some(hash) if current == Some(hash) && applied == Some(hash) => Change::Nothing,
        Some(hash) => Change::Set(hash.to_owned()),
        None if applied.is_some() && applied == current => Change::Lock,
        None => Change::Nothing,
    }
}

/// Returns the password field of the account in /etc/shadow.
fn field(shadow: &str) -> Option<&str> {
    shadow.lines().find_map(|line| line.strip_prefix(USER)?.strip_prefix(':')?.split(':').next())
}

/// Takes one hash on a line of its own; comments and anything that could end the field of /etc/shadow are refused.
fn parse_hash(text: &str) -> anyhow::Result<String> {
    let hash = text.trim();
    anyhow::ensure!(
        METHODS.iter().any(|method| hash.starts_with(method)),
        "it is no password hash of a method in use; make one with `openssl passwd -6`"
    );
    anyhow::ensure!(
        hash.len() <= HASH_MAX,
        "the hash has {} characters: expected at most {HASH_MAX}",
        hash.len()
    );
    let is_hash_char = |c: char| c.is_ascii_alphanumeric() || "./$=,-_".contains(c);
    match hash.chars().find(|c| !is_hash_char(*c)) {
        None => Ok(hash.to_owned()),
        Some(found) => anyhow::bail!("a hash has no character {found:?}; make one with `openssl passwd -6`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$6$saltsalt$abcdefghijklmnopqrstuvwxyz./0123456789";

    #[test]
    fn the_hash_of_oem_is_set_and_taken_away_with_the_file() {
        assert_eq!(change(Some(HASH), None, Some("!*")), Change::Set(HASH.to_owned()));
        assert_eq!(change(Some(HASH), Some(HASH), Some(HASH)), Change::Nothing);
        assert_eq!(change(Some(HASH), Some("$6$old$x"), Some("$6$old$x")), Change::Set(HASH.to_owned()));
        assert_eq!(change(None, Some(HASH), Some(HASH)), Change::Lock);
        assert_eq!(change(None, None, Some("!*")), Change::Nothing);
    }

    #[test]
    fn a_password_set_by_other_means_stays() {
        assert_eq!(change(None, Some(HASH), Some("$6$other$x")), Change::Nothing);
        assert_eq!(change(None, None, Some("$6$other$x")), Change::Nothing);
    }

    #[test]
    fn set_again_when_cut_off_between_the_two_writes() {
        assert_eq!(change(Some(HASH), Some(HASH), Some("!*")), Change::Set(HASH.to_owned()));
        assert_eq!(change(None, Some(HASH), Some("!*")), Change::Nothing);
    }

    #[test]
    fn rejects_what_is_no_hash() {
        assert_eq!(parse_hash(&format!("{HASH}\n")).unwrap(), HASH);
        for text in ["", "secret", "$1$salt$md5", "$6$a:b", "$6$a\ncore:$6$b", "$6$a b"] {
            assert!(parse_hash(text).is_err(), "{text:?}");
        }
        assert!(parse_hash(&format!("$6${}", "a".repeat(HASH_MAX))).is_err());
    }

    #[test]
    fn finds_the_field_of_core_only() {
        let shadow = "root:*:1::::::\ncorey:x:1::::::\ncore:!*:2::::::\n";
        assert_eq!(field(shadow), Some("!*"));
        assert_eq!(field("root:*:1\n"), None);
    }
}

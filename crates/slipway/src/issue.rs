//! The login banner on the console: version, addresses, SSH host key fingerprints, and what a person must know.

use agent_support::host::Host;
use agent_support::{boot, durable, sealed};
use anyhow::Context;

use crate::tools;

/// Read by agetty(8).
pub const ISSUE_FILE: &str = "/run/issue.d/10-slipway.issue";

/// Writes the banner and shows it on waiting consoles.
pub fn run(host: &Host) -> anyhow::Result<()> {
    let banner = banner(&Banner {
        version: sealed::version(host)?,
        interfaces: interfaces(host)?,
        fingerprints: if host.is_live() { fingerprints(host)? } else { Vec::new() },
        insecure_keys: !sealed::insecure_keys(host)?.is_empty(),
        degraded: host.read(boot::HEALTH_FAILED_FILE)?,
    });
    durable::write(&host.path(ISSUE_FILE), banner.as_bytes()).context("writing the login banner")?;
    if host.is_live() {
        tools::agetty_reload()?;
    }
    Ok(())
}

struct Banner {
    version: String,
    interfaces: Vec<String>,
    fingerprints: Vec<String>,
    insecure_keys: bool,
    degraded: Option<String>,
}

/// Returns the network interfaces that are devices: not loopback, bridges and the ends of containers.
fn interfaces(host: &Host) -> anyhow::Result<Vec<String>> {
    let mut names = host.list("/sys/class/net")?;
    names.retain(|name| host.path("/sys/class/net").join(name).join("device").exists());
    Ok(names)
}

fn fingerprints(host: &Host) -> anyhow::Result<Vec<String>> {
    let keys = host.list("/etc/ssh")?;
    let keys = keys.iter().filter(|name| name.starts_with("ssh_host_") && name.ends_with("_key.pub"));
    keys.map(|name| tools::ssh_fingerprint(&host.path("/etc/ssh").join(name)))
        .map(|line| Ok(short(&line?)))
        .collect()
}

/// Returns type and fingerprint of a line `<bits> <fingerprint> <comment> (<type>)`.
fn short(line: &str) -> String {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields[..] {
        [_, fingerprint, .., kind] => format!("{} {fingerprint}", kind.trim_matches(['(', ')'])),
        _ => line.to_owned(),
    }
}

/// Returns the banner. `\n`, `\l`, `\4{…}` and `\6{…}` are agetty's: it shows the addresses of the moment and anew when
/// they change.
fn banner(what: &Banner) -> String {
    let mut text = format!("\nSlipway {} on \\n (\\l)\n", escape(&what.version));
    for interface in &what.interfaces {
        text += &format!("Address: \\4{{{interface}}} \\6{{{interface}}} ({interface})\n");
    }
    for fingerprint in &what.fingerprints {
        text += &format!("SSH host key: {}\n", escape(fingerprint));
    }
    if what.insecure_keys {
        text += "WARNING: INSECURE development keys are trusted for updates\n";
    }
    if let Some(reason) = &what.degraded {
        text += &format!("WARNING: this machine is DEGRADED: {}\n", escape(reason));
    }
    text + "\n"
}

/// Keeps text from being read as agetty's escapes.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn tells_version_address_keys_and_warnings() {
        let text = banner(&Banner {
            version: "1.0.0".to_owned(),
            interfaces: vec!["enp0s2".to_owned(), "enp0s3".to_owned()],
            fingerprints: vec![short("256 SHA256:abc/+d root@host (ED25519)")],
            insecure_keys: true,
            degraded: Some("units: failed: a\\x2db.mount".to_owned()),
        });
        expect![[r"

            Slipway 1.0.0 on \n (\l)
            Address: \4{enp0s2} \6{enp0s2} (enp0s2)
            Address: \4{enp0s3} \6{enp0s3} (enp0s3)
            SSH host key: ED25519 SHA256:abc/+d
            WARNING: INSECURE development keys are trusted for updates
            WARNING: this machine is DEGRADED: units: failed: a\\x2db.mount

        "]]
        .assert_eq(&text);
    }

    #[test]
    fn only_devices_are_shown_with_addresses() {
        let tree = agent_support::testing::Tree::new();
        tree.file("/sys/class/net/enp0s2/device/vendor", "")
            .file("/sys/class/net/lo/type", "")
            .file("/sys/class/net/docker0/type", "");
        assert_eq!(interfaces(&tree.host).unwrap(), ["enp0s2"]);
    }

    #[test]
    fn a_well_machine_has_no_warning() {
        let text = banner(&Banner {
            version: "1.0.0".to_owned(),
            interfaces: Vec::new(),
            fingerprints: Vec::new(),
            insecure_keys: false,
            degraded: None,
        });
        assert!(!text.contains("WARNING"), "{text}");
    }
}

//! A cloud-config from a web server that is in trouble at first.

use anyhow::ensure;
use http_get::testing::{self, Answer};
use vm::machine::HOST;

use crate::guest::Guest;
use crate::lab::Lab;

const PATH: &str = "/machine.yml";
/// Answers of the server before the first good one.
const TROUBLES: usize = 3;
/// Of the password `secret`.
const HASH: &str =
    "$6$e2e$PdUkmjQsDHkOVyjOaY2TxuaSRDJ3Rm0pMFJB.dpP/NwKF53JjzN1R./ryNTr3Uq0oWU5NE3qBSrnDVDkDfwuX1";
const FILE: &str = "/etc/site/app.conf";

/// Two units are told to start in the order that is not theirs.
const TEXT: &str = "\
#cloud-config
hostname: told-by-url
timezone: Europe/Lisbon
users:
  - name: ann
    passwd: HASH
    groups: [docker]
    shell: /bin/bash
write_files:
  - path: FILE
    owner: ann:docker
    permissions: \"0640\"
    content: |
      from=url
coreos:
  units:
    - name: e2e-after.service
      command: start
      content: |
        [Unit]
        After=e2e-before.service

        [Service]
        Type=oneshot
        RemainAfterExit=yes
        ExecStart=/usr/bin/test -e /run/e2e-before
    - name: e2e-before.service
      command: start
      content: |
        [Service]
        Type=oneshot
        RemainAfterExit=yes
        ExecStart=/usr/bin/sleep 2
        ExecStart=/usr/bin/touch /run/e2e-before
    - name: e2e-site.service
      enable: true
      command: start
      content: |
        [Service]
        ExecStart=/usr/bin/sleep infinity

        [Install]
        WantedBy=multi-user.target
    - name: 05-e2e.netdev
      content: |
        [NetDev]
        Name=e2e0
        Kind=dummy
    - name: 05-e2e.network
      content: |
        [Match]
        Name=e2e0

        [Network]
        Address=192.0.2.7/24
        LinkLocalAddressing=no
";

/// Waits until networkd has done its part.
const ADDRESS: &str = "
for try in $(seq 60); do ip -4 -o address show dev e2e0 2>/dev/null | grep -q inet && break; sleep 1; done
ip -4 -o address show dev e2e0 | tr -s ' ' | cut -d' ' -f4";

/// What of it does not outlive the file.
const MADE: [&str; 7] = [
    FILE,
    "/etc/systemd/system/e2e-after.service",
    "/etc/systemd/system/e2e-before.service",
    "/etc/systemd/system/e2e-site.service",
    "/etc/systemd/system/multi-user.target.wants/e2e-site.service",
    "/etc/systemd/network/05-e2e.netdev",
    "/etc/systemd/network/05-e2e.network",
];

/// The web server.
#[derive(Debug)]
pub struct Server(testing::Server);

impl Server {
    /// Starts it.
    pub fn start() -> Self {
        Self(testing::Server::start(
            |_, before| {
                if before < TROUBLES { Answer::status(500) } else { Answer::ok(text()) }
            },
        ))
    }

    /// Returns the URL of the file, as the guest reaches it.
    pub fn url(&self) -> String {
        format!("http://{HOST}:{}{PATH}", self.0.port())
    }

    /// Checks that it was asked for the file until it gave it, and not again.
    pub fn was_asked(&self) -> anyhow::Result<()> {
        let asked: Vec<_> = self.0.asked().into_iter().map(|question| question.line).collect();
        let expected = vec![format!("GET {PATH}"); TROUBLES + 1];
        ensure!(asked == expected, "expected {expected:?}, found {asked:?}");
        Ok(())
    }
}

/// Checks that the machine became what the file says.
pub fn checks(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    lab.check("name and timezone are those of the file", || {
        super::named(guest, "told-by-url")?;
        is(guest, "readlink -f /etc/localtime", "/usr/share/zoneinfo/Europe/Lisbon")
    })?;
    lab.check("the user has its group and its password", || {
        is(guest, "id -nG ann | tr ' ' '\\n' | grep -x docker", "docker")?;
        is(guest, "getent passwd ann | cut -d: -f7", "/bin/bash")?;
        is(guest, "getent shadow ann | cut -d: -f2", HASH)
    })?;
    lab.check("the file is there and its owner's", || {
        is(guest, &format!("stat -c '%U:%G %a' {FILE}"), "ann:docker 640")?;
        is(guest, &format!("cat {FILE}"), "from=url")
    })?;
    lab.check("each unit is started, the later one behind the earlier", || {
        is(guest, "systemctl is-active e2e-before.service e2e-after.service", "active\nactive")?;
        is(guest, "systemctl is-enabled e2e-site.service", "enabled")?;
        is(guest, "systemctl is-active e2e-site.service", "active")
    })?;
    lab.check("the file's network device is there and has its address", || is(guest, ADDRESS, "192.0.2.7/24"))
}

/// Checks that another file took the place of this one.
pub fn gone(guest: &Guest) -> anyhow::Result<()> {
    let left = guest.root(&format!("ls -d {} 2>/dev/null || true", MADE.join(" ")))?;
    ensure!(left.is_empty(), "left:\n{left}");
    is(guest, "systemctl is-active e2e-site.service || true", "inactive")?;
    is(guest, "getent passwd ann | cut -d: -f1", "ann")
}

fn is(guest: &Guest, script: &str, expected: &str) -> anyhow::Result<()> {
    let found = guest.root(script)?;
    ensure!(found == expected, "`{script}`: expected `{expected}`, found `{found}`");
    Ok(())
}

fn text() -> String {
    TEXT.replace("HASH", HASH).replace("FILE", FILE)
}

#[cfg(test)]
mod tests {
    use cloud_config::metadata::Addresses;
    use cloud_config::substitute::Unknown;

    use super::*;

    #[test]
    fn nothing_is_to_be_said_about_the_file() {
        let (data, findings) = cloud_config::read(text().as_bytes(), &Addresses::default(), Unknown::Refuse);
        assert!(data.is_some() && findings.is_empty(), "{findings:?}");
    }
}

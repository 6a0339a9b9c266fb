//! The command lines of OpenSSH's client.
//!
//! The system's `ssh` is run and no library: it reads the user's `~/.ssh/config`, talks to agents, smart cards and
//! certificates as every other tool of the user does, and security fixes for it come with the system.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ctl::endpoint::SshHost;

/// How machines are reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// User there.
    pub user: String,
    /// Longest wait for a connection.
    pub timeout: Duration,
    /// File of known host keys; without one, OpenSSH's own.
    pub known_hosts: Option<String>,
    /// What a changed host key means.
    pub check: HostKeys,
    /// Machine that connections go through.
    pub tunnel: Option<SshHost>,
}

/// What a changed host key means; an unknown one is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeys {
    /// No connection.
    Strict,
    /// A warning.
    Lax,
}

/// Whether the user's SSH agent can be used from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// It cannot.
    Kept,
    /// It can, by everybody who is root there.
    Lent,
}

/// Why a program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// It cannot be started.
    #[error("running {program}: {source}{}", remedy(.program))]
    Run {
        /// Program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The folder of known host keys cannot be made.
    #[error("creating {}: {source}; --known-hosts-file names another file", .dir.display())]
    KnownHosts {
        /// Folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name that cannot stand on a command line.
    #[error("known hosts file {}: its name is not UTF-8; --known-hosts-file names another file", .0.display())]
    Name(PathBuf),
}

fn remedy(program: &str) -> &'static str {
    if program == "ssh" { "; install OpenSSH's client" } else { "" }
}

impl Settings {
    /// Returns the arguments that run `command` on a machine of the cluster, or a shell without one. The command is
    /// given to the shell there as it is.
    pub fn to_machine(&self, host: &SshHost, agent: Agent, command: Option<&str>) -> Vec<String> {
        let mut args = self.options(host.port);
        if agent == Agent::Lent {
            args.push("-A".to_owned());
        }
        if let Some(tunnel) = &self.tunnel {
            args.extend(["-o".to_owned(), self.proxy(tunnel)]);
        }
        args.extend(["--", &host.host].into_iter().chain(command).map(str::to_owned));
        args
    }

    /// Returns the arguments that run `command` on the machine of the tunnel.
    pub fn to_tunnel(&self, tunnel: &SshHost, command: &str) -> Vec<String> {
        let mut args = self.options(tunnel.port);
        args.extend(["--", &tunnel.host, command].map(str::to_owned));
        args
    }

    /// Returns the arguments that connect standard input and output with an address as the tunnel's machine sees it.
    pub fn through_tunnel(&self, tunnel: &SshHost, address: &str) -> Vec<String> {
        let mut args = self.options(tunnel.port);
        args.extend(["-W", address, "--", &tunnel.host].map(str::to_owned));
        args
    }

    fn options(&self, port: u16) -> Vec<String> {
        // OpenSSH knows whole seconds, and takes 0 for its own default.
        let seconds = self.timeout.as_secs() + u64::from(self.timeout.subsec_nanos() > 0);
        let check = match self.check {
            HostKeys::Strict => "StrictHostKeyChecking=accept-new",
            HostKeys::Lax => "StrictHostKeyChecking=no",
        };
        let mut options = vec![format!("ConnectTimeout={}", seconds.max(1))];
        options.extend(
            self.known_hosts.as_ref().map(|path| format!("UserKnownHostsFile={}", config_word(path))),
        );
        options.push(check.to_owned());
        let mut args: Vec<String> =
            options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect();
        args.extend(["-l", &self.user, "-p", &port.to_string()].map(str::to_owned));
        args
    }

    /// Returns the option that goes through the tunnel. `-J` would be shorter, but gives none of the options above to
    /// the machine in between.
    fn proxy(&self, tunnel: &SshHost) -> String {
        // OpenSSH replaces %h and %p; every other % is meant as it is.
        let word = |word: &str| shell_word(word).replace('%', "%%");
        let options: Vec<String> = self.options(tunnel.port).iter().map(|arg| word(arg)).collect();
        format!("ProxyCommand=ssh {} -W '[%h]:%p' -- {}", options.join(" "), word(&tunnel.host))
    }

    /// Makes the folder of the file of known host keys, as OpenSSH does for its own only.
    ///
    /// # Errors
    /// When that fails.
    pub fn prepare(&self) -> Result<(), SshError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let dir = self.known_hosts.as_ref().and_then(|path| Path::new(path).parent());
        let Some(dir) = dir.filter(|dir| !dir.as_os_str().is_empty()) else { return Ok(()) };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| SshError::KnownHosts { dir: dir.to_owned(), source })
    }
}

/// Returns the file of known host keys: as given, or that of the original. Units have no home folder, so that OpenSSH
/// chooses for them.
///
/// # Errors
/// When its name cannot stand on a command line.
pub fn known_hosts(given: Option<&Path>, home: Option<&OsStr>) -> Result<Option<String>, SshError> {
    let usual = || home.map(|home| Path::new(home).join(".fleetctl/known_hosts"));
    let path = given.map(Path::to_owned).or_else(usual);
    path.map(|path| path.into_os_string().into_string().map_err(|path| SshError::Name(path.into())))
        .transpose()
}

/// Quotes a word for a shell, unless it needs none.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns a command line as it could be typed.
pub fn shown(line: &[String]) -> String {
    line.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// Quotes a path for OpenSSH's configuration: words end at blanks, `%` begins a token.
fn config_word(path: &str) -> String {
    let text = path.replace('%', "%%");
    if text.contains([' ', '"', '\\', '\'', '\t']) {
        format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn settings(known_hosts: &str, tunnel: Option<&str>) -> Settings {
        Settings {
            user: "core".to_owned(),
            timeout: Duration::from_millis(2500),
            known_hosts: Some(known_hosts.to_owned()),
            check: HostKeys::Strict,
            tunnel: tunnel.map(|host| host.parse().unwrap()),
        }
    }

    fn host(text: &str) -> SshHost {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(args: &[String], expected: &Expect) {
        expected.assert_eq(&args.join("\n"));
    }

    #[test]
    fn a_machine_is_reached_with_options_of_ours_before_its_address() {
        let args = settings("/home/u/.fleetctl/known_hosts", None).to_machine(
            &host("172.17.8.101"),
            Agent::Lent,
            Some("uptime"),
        );
        check(
            &args,
            &expect![[r#"
                -o
                ConnectTimeout=3
                -o
                UserKnownHostsFile=/home/u/.fleetctl/known_hosts
                -o
                StrictHostKeyChecking=accept-new
                -l
                core
                -p
                22
                -A
                --
                172.17.8.101
                uptime"#]],
        );
    }

    #[test]
    fn a_tunnel_has_the_same_options_and_lends_no_agent() {
        let args =
            settings("/a b%c", Some("bastion:2222")).to_machine(&host("10.0.0.2:23"), Agent::Lent, None);
        check(
            &args,
            &expect![[r#"
                -o
                ConnectTimeout=3
                -o
                UserKnownHostsFile="/a b%%c"
                -o
                StrictHostKeyChecking=accept-new
                -l
                core
                -p
                23
                -A
                -o
                ProxyCommand=ssh -o ConnectTimeout=3 -o 'UserKnownHostsFile="/a b%%%%c"' -o StrictHostKeyChecking=accept-new -l core -p 2222 -W '[%h]:%p' -- bastion
                --
                10.0.0.2"#]],
        );
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        assert_eq!(shell_word("foo@1.service"), "foo@1.service");
        assert_eq!(shell_word(r"a\x2db.service"), r"'a\x2db.service'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn known_hosts_are_where_they_always_were_or_where_openssh_has_them() {
        let home = Some(OsStr::new("/home/u"));
        assert_eq!(known_hosts(None, home).unwrap().unwrap(), "/home/u/.fleetctl/known_hosts");
        assert_eq!(known_hosts(Some(Path::new("/k")), home).unwrap().unwrap(), "/k");
        assert_eq!(known_hosts(None, None).unwrap(), None);
        let args = Settings { known_hosts: None, ..settings("", None) }.to_tunnel(&host("h"), "true");
        assert!(!args.iter().any(|arg| arg.starts_with("UserKnownHostsFile")), "{args:?}");
    }

    #[test]
    fn a_name_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStrExt as _;
        let name = Path::new(OsStr::from_bytes(b"/\xff"));
        assert!(matches!(known_hosts(Some(name), None), Err(SshError::Name(_))));
    }
}

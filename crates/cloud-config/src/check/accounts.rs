//! The host's name and zone, its users, and their keys.

use crate::finding::{Finding, Position, quoted};
use crate::model::{Config, Secret, User};
use crate::{names, ssh_key};

use super::fields::Fields;

/// Checks what is of the host itself.
pub fn host(top: Fields<'_>, config: &mut Config, findings: &mut Vec<Finding>) {
    config.hostname = top.owned("hostname");
    if let Some(Err(why)) = config.hostname.as_deref().map(names::hostname) {
        findings.push(Finding::error(top.at("hostname"), format!("hostname {why}")));
    }
    config.timezone = top.owned("timezone");
    if let Some(Err(why)) = config.timezone.as_deref().map(names::time_zone) {
        findings.push(Finding::error(top.at("timezone"), format!("timezone {why}")));
    }
    config.manage_etc_hosts = top.text("manage_etc_hosts").is_some();
    config.ssh_authorized_keys = keys(top, findings);
}

/// Checks `users`.
pub fn users(top: Fields<'_>, findings: &mut Vec<Finding>) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for fields in top.maps("users") {
        let Some(name) = fields.text("name") else {
            if !fields.has("name") {
                findings.push(Finding::error(fields.0.at, "user has no name"));
            }
            continue;
        };
        if users.iter().any(|user| user.name == name) {
            findings
                .push(Finding::error(fields.at("name"), format!("user {} is there already", quoted(name))));
        }
        users.push(user(name, fields, findings));
    }
    users
}

fn user(name: &str, fields: Fields<'_>, findings: &mut Vec<Finding>) -> User {
    let mut refuse = |at: Position, message: String| findings.push(Finding::error(at, message));
    if let Err(why) = names::account(name) {
        refuse(fields.at("name"), format!("name of the user {why}"));
    }
    let primary = fields.text("primary_group").map(|group| (group, fields.at("primary_group")));
    for (group, at) in primary.into_iter().chain(fields.texts("groups")) {
        if let Err(why) = names::account(group) {
            refuse(at, format!("name of the group {why}"));
        }
    }
    for key in ["homedir", "shell"] {
        if let Some(Err(why)) = fields.text(key).map(names::plain_path) {
            refuse(fields.at(key), format!("{key} {why}"));
        }
    }
    let gecos = fields.owned("gecos");
    if gecos.as_ref().is_some_and(|gecos| gecos.contains(':') || gecos.chars().any(char::is_control)) {
        refuse(fields.at("gecos"), "gecos has colons or control characters".to_owned());
    }
    let passwd = fields.owned("passwd");
    if passwd.as_ref().is_some_and(|hash| hash.contains(':') || !hash.bytes().all(|b| b.is_ascii_graphic())) {
        refuse(fields.at("passwd"), "passwd is no hash of a password".to_owned());
    } else if passwd.as_ref().is_some_and(|hash| !hash.starts_with(['$', '*', '!']) && hash.len() != 13) {
        let message = "passwd does not look like a hash of a password";
        findings.push(Finding::warning(fields.at("passwd"), message));
    }
    let one = fields.text("coreos_ssh_import_github");
    let one = one.map(|user| (user, fields.at("coreos_ssh_import_github")));
    let mut github_users: Vec<String> = Vec::new();
    for (user, at) in one.into_iter().chain(fields.texts("coreos_ssh_import_github_users")) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if user.len() > 39 || !user.bytes().all(allowed) {
            findings.push(Finding::error(at, "is no name of a GitHub user"));
        }
        if github_users.iter().all(|known| known != user) {
            github_users.push(user.to_owned());
        }
    }
    let import_url = fields.owned("coreos_ssh_import_url");
    if import_url.as_ref().is_some_and(|url| !is_url(url)) {
        let message = "coreos_ssh_import_url is no http:// or https:// URL";
        findings.push(Finding::error(fields.at("coreos_ssh_import_url"), message));
    }
    User {
        name: name.to_owned(),
        passwd: passwd.map(Secret),
        gecos,
        homedir: fields.owned("homedir"),
        shell: fields.owned("shell"),
        primary_group: fields.owned("primary_group"),
        groups: fields.texts("groups").map(|(group, _)| group.to_owned()).collect(),
        no_create_home: fields.flag("no_create_home"),
        no_user_group: fields.flag("no_user_group"),
        no_log_init: fields.flag("no_log_init"),
        system: fields.flag("system"),
        ssh_authorized_keys: keys(fields, findings),
        github_users,
        import_url,
    }
}

fn keys(fields: Fields<'_>, findings: &mut Vec<Finding>) -> Vec<String> {
    let mut keys = Vec::new();
    for (text, at) in fields.texts("ssh_authorized_keys") {
        for line in ssh_key::lines(text) {
            if ssh_key::identity(&line).is_none() {
                let message = "is no SSH public key, or not a whole one: sshd will pass it over";
                findings.push(Finding::warning(at, message));
            }
            keys.push(line);
        }
    }
    keys
}

/// Tells whether a text is an HTTP URL with a host and without blanks.
pub fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?']));
    has_host && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check_says, checked, config};

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn a_user_has_all_its_keys() {
        let config = config(&format!(
            "hostname: node-1\ntimezone: Europe/Berlin\nmanage_etc_hosts: localhost\nusers:\n- name: ann\n  passwd: $6$x\n  gecos: Ann A\n  \
             homedir: /home/a\n  shell: /bin/sh\n  primary-group: staff\n  groups: [sudo, docker]\n  \
             no-create-home: yes\n  no-user-group: true\n  no-log-init: on\n  system: true\n  \
             ssh-authorized-keys: [\"{KEY} a\"]\n  coreos-ssh-import-github: x\n  \
             coreos-ssh-import-github-users: [y, x]\n  coreos-ssh-import-url: https://h/k\n"
        ));
        let user = &config.users[0];
        assert_eq!((user.groups.len(), user.ssh_authorized_keys.len()), (2, 1));
        assert_eq!(user.github_users, ["x", "y"]);
        assert!(user.no_create_home && user.no_user_group && user.no_log_init && user.system);
        assert_eq!(format!("{:?}", user.passwd), "Some(Secret(…))");
        assert!(config.manage_etc_hosts);
    }

    #[test]
    fn names_that_a_program_could_misread_are_errors() {
        check_says("users: [{name: -r}]\n", &["1:16: error: name of the user is not"]);
        check_says("users: [{gecos: x}]\n", &["1:9: error: user has no name"]);
        check_says("users: [{name: a}, {name: a}]\n", &["1:27: error: user \"a\" is there already"]);
        check_says(
            "users: [{name: a, groups: [b, --x], primary-group: 9, homedir: x, shell: \"/a:b\", gecos: \"a:b\"}]\n",
            &[
                "1:31: error: name of the group",
                "1:52: error: name of the group",
                "1:64: error: homedir",
                "1:74: error: shell",
                "1:89: error: gecos",
            ],
        );
        check_says(
            "users: [{name: a, coreos-ssh-import-github: a/b, coreos-ssh-import-url: ftp://x}]\n",
            &["1:45: error: is no name of a GitHub user", "1:73: error: coreos_ssh_import_url"],
        );
        check_says("hostname: a_b\ntimezone: ../x\n", &["1:11: error: hostname", "2:11: error: timezone"]);
    }

    #[test]
    fn secrets_are_in_no_message() {
        let (_, lines) = checked("users: [{name: a, passwd: \"geheim:1\"}, {name: b, passwd: geheim}]\n");
        assert_eq!(lines.len(), 2);
        assert!(!lines.concat().contains("geheim"), "{lines:?}");
    }

    #[test]
    fn a_broken_key_is_a_warning() {
        check_says(
            "ssh_authorized_keys: [\"ssh-rsa AAAAB3Nza...\"]\n",
            &["1:23: warning: is no SSH public key, or not a whole one"],
        );
    }
}

//! Two configurations as one: a base and what goes on top, so that one run applies both and neither takes the
//! other's files away.

use crate::model::{Config, Unit, Update, User};

/// Puts a configuration on top of a base: where both say something about the same thing, the upper one counts.
pub fn merge(base: Config, top: Config) -> Config {
    let Config {
        hostname, timezone, manage_etc_hosts, ssh_authorized_keys, users, write_files, units, ..
    } = base;
    Config {
        hostname: top.hostname.or(hostname),
        timezone: top.timezone.or(timezone),
        manage_etc_hosts: top.manage_etc_hosts || manage_etc_hosts,
        ssh_authorized_keys: joined(ssh_authorized_keys, top.ssh_authorized_keys),
        users: by_name(users, top.users, |user| user.name.clone(), user),
        // Of two files for one path the last one is written.
        write_files: by_name(write_files, top.write_files, |file| file.path.clone(), |_, top| top),
        units: by_name(units, top.units, |unit| unit.name.clone(), unit),
        update: Update {
            reboot_strategy: top.update.reboot_strategy.or(base.update.reboot_strategy),
            group: top.update.group.or(base.update.group),
            server: top.update.server.or(base.update.server),
        },
        oem: top.oem.or(base.oem),
        etcd: base.etcd.into_iter().chain(top.etcd).collect(),
        fleet: base.fleet.into_iter().chain(top.fleet).collect(),
        locksmith: base.locksmith.into_iter().chain(top.locksmith).collect(),
        flannel: base.flannel.into_iter().chain(top.flannel).collect(),
    }
}

fn joined<T>(base: Vec<T>, top: Vec<T>) -> Vec<T> {
    base.into_iter().chain(top).collect()
}

/// Joins lists of things with names; of a name that is in both, one is made of the two, in the upper one's place.
fn by_name<T>(base: Vec<T>, top: Vec<T>, name: fn(&T) -> String, both: fn(T, T) -> T) -> Vec<T> {
    let mut base: Vec<Option<T>> = base.into_iter().map(Some).collect();
    let mut upper = Vec::new();
    for one in top {
        let same =
            base.iter_mut().find(|below| below.as_ref().is_some_and(|below| name(below) == name(&one)));
        upper.push(match same.and_then(Option::take) {
            Some(below) => both(below, one),
            None => one,
        });
    }
    base.into_iter().flatten().chain(upper).collect()
}

/// Both entries' keys are the user's, the upper one's account is.
fn user(base: User, top: User) -> User {
    User {
        ssh_authorized_keys: joined(base.ssh_authorized_keys, top.ssh_authorized_keys.clone()),
        github_users: by_name(base.github_users, top.github_users.clone(), String::clone, |_, top| top),
        import_url: top.import_url.clone().or(base.import_url),
        passwd: top.passwd.clone().or(base.passwd),
        ..top
    }
}

/// Drop-ins of both are the unit's; the upper one says what else.
fn unit(base: Unit, top: Unit) -> Unit {
    Unit {
        content: top.content.clone().or(base.content),
        drop_ins: by_name(base.drop_ins, top.drop_ins.clone(), |(name, _)| name.clone(), |_, top| top),
        command: top.command.or(base.command),
        ..top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let (config, findings) = crate::check::check(&crate::yaml::parse(text).unwrap());
        config.unwrap_or_else(|| panic!("{findings:#?}"))
    }

    #[test]
    fn nothing_below_or_above_changes_nothing() {
        let some =
            config("hostname: a\nusers: [{name: b}]\ncoreos: {units: [{name: c.service, command: start}]}\n");
        assert_eq!(merge(Config::default(), some.clone()), some);
        assert_eq!(merge(some.clone(), Config::default()), some);
    }

    #[test]
    fn the_upper_one_counts_where_both_speak_and_lists_are_joined() {
        let base = config(
            "hostname: a\ntimezone: UTC\nwrite_files: [{path: /etc/a, content: 1}, {path: /etc/b, content: 1}]\n\
             users: [{name: ann, coreos-ssh-import-github: a}]\n\
             coreos: {fleet: {metadata: x, public-ip: y}, units: [{name: a.service, drop-ins: [{name: 1.conf, content: x}]}]}\n",
        );
        let top = config(
            "hostname: b\nwrite_files: [{path: /etc/a, content: 2}]\n\
             users: [{name: ann, coreos-ssh-import-github: b}, {name: bob}]\n\
             coreos: {fleet: {metadata: z}, units: [{name: a.service, command: start}]}\n",
        );
        let both = merge(base, top);
        assert_eq!((both.hostname.as_deref(), both.timezone.as_deref()), (Some("b"), Some("UTC")));
        let files: Vec<_> =
            both.write_files.iter().map(|file| (file.path.as_str(), &file.content.0[..])).collect();
        assert_eq!(files, [("/etc/b", &b"1"[..]), ("/etc/a", b"2")]);
        assert_eq!(both.users.len(), 2);
        assert_eq!(both.users[0].github_users, ["a", "b"]);
        assert_eq!((both.fleet["METADATA"].as_str(), both.fleet["PUBLIC_IP"].as_str()), ("z", "y"));
        let [unit] = &both.units[..] else { panic!("{:?}", both.units) };
        assert_eq!((unit.drop_ins.len(), unit.command), (1, Some("start")));
    }
}

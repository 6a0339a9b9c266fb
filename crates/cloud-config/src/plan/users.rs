//! Users by the system's own tools, and their keys as sets.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Secret, User};

use super::{Command, Import, Inputs, KeySet, METADATA_SET, Plan};
use crate::settings::GITHUB;

/// Who gets the keys of the machine.
const CORE: &str = "core";
const SHELL: &str = "/bin/bash";

pub(super) fn users(inputs: Inputs<'_>, plan: &mut Plan) {
    let mut groups = inputs.facts.groups.clone();
    for user in &inputs.config.users {
        account(inputs, user, &mut groups, plan);
    }
    keys(inputs, plan);
}

/// Makes an account what it should be; `groups` are those that are there by then.
fn account(inputs: Inputs<'_>, user: &User, groups: &mut BTreeSet<String>, plan: &mut Plan) {
    let facts = inputs.facts;
    let known = facts.users.get(&user.name);
    let wanted = user.primary_group.iter().filter(|_| known.is_none()).chain(&user.groups);
    for group in wanted {
        // A group of the user's own name is made with the user.
        let is_own = *group == user.name && known.is_none() && has_own_group(user);
        if !is_own && groups.insert(group.clone()) {
            plan.push(Command::new(["groupadd", group.as_str()]));
        }
    }
    match known {
        None => {
            let is_new = groups.insert(user.name.clone());
            plan.push(useradd(user, is_new));
        }
        Some(known) => {
            let missing: Vec<_> =
                user.groups.iter().filter(|group| !known.groups.contains(*group)).cloned().collect();
            if !missing.is_empty() {
                let groups = missing.join(",");
                plan.push(Command::new(["usermod", "--append", "--groups", &groups, &user.name]));
            }
        }
    }
    let is_set = |hash: &Secret| known.is_some_and(|known| known.hash.as_ref() == Some(hash));
    if let Some(hash) = user.passwd.as_ref().filter(|hash| !is_set(hash)) {
        // On standard input: everybody sees arguments.
        let stdin = Some(Secret(format!("{}:{}\n", user.name, hash.0)));
        plan.push(Command { stdin, ..Command::new(["chpasswd", "--encrypted"]) });
    }
}

/// Tells whether a new user gets a group of the same name as the first one.
fn has_own_group(user: &User) -> bool {
    user.primary_group.is_none() && !user.no_user_group
}

/// Makes a user; a group of the same name that is there already becomes the first one.
fn useradd(user: &User, own_group_is_new: bool) -> Command {
    // No password opens it; keys do.
    let mut argv: Vec<&str> = vec!["useradd", "--password", "*"];
    argv.extend(["--shell", user.shell.as_deref().unwrap_or(SHELL)]);
    argv.push(if user.no_create_home { "--no-create-home" } else { "--create-home" });
    if let Some(gecos) = &user.gecos {
        argv.extend(["--comment", gecos]);
    }
    if let Some(homedir) = &user.homedir {
        argv.extend(["--home-dir", homedir]);
    }
    match &user.primary_group {
        Some(group) => argv.extend(["--gid", group]),
        None if user.no_user_group => argv.push("--no-user-group"),
        None if own_group_is_new => argv.push("--user-group"),
        None => argv.extend(["--gid", &user.name]),
    }
    let groups = user.groups.iter().filter(|group| **group != user.name || !has_own_group(user));
    let groups = groups.cloned().collect::<Vec<_>>().join(",");
    if !groups.is_empty() {
        argv.extend(["--groups", &groups]);
    }
    if user.no_log_init {
        argv.push("--no-log-init");
    }
    if user.system {
        argv.push("--system");
    }
    argv.push(&user.name);
    let argv = argv.into_iter().map(str::to_owned).collect();
    Command { argv, ..Command::new([]) }
}

/// The keys that the file and the metadata give, a set of each for a user.
fn keys(inputs: Inputs<'_>, plan: &mut Plan) {
    let Inputs { config, metadata, key_set, .. } = inputs;
    let mut by_user: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for user in &config.users {
        by_user.entry(&user.name).or_default().extend(user.ssh_authorized_keys.iter().cloned());
    }
    by_user.entry(CORE).or_default().extend(config.ssh_authorized_keys.iter().cloned());
    let given = by_user.into_iter().map(|(user, keys)| (user, key_set, keys));
    // A set of its own: it is replaced when the file is wrong, too, and the file's last good one stays.
    let told = metadata.public_keys.values().flat_map(|text| crate::ssh_key::lines(text)).collect();
    for (user, set, mut keys) in given.chain([(CORE, METADATA_SET, told)]) {
        let mut seen = BTreeSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        if !keys.is_empty() {
            let (user, set) = (user.to_owned(), set.to_owned());
            plan.push(KeySet { home: home(inputs, &user), user, set, keys });
        }
    }
}

/// Keys that are elsewhere: last, because asking for them may take its time.
pub(super) fn imports(inputs: Inputs<'_>, plan: &mut Plan) {
    let server = inputs.facts.github.as_deref().unwrap_or(GITHUB);
    for user in &inputs.config.users {
        let github = user
            .github_users
            .iter()
            .map(|name| (format!("github-{name}"), format!("{server}/users/{name}/keys")));
        let url = user.import_url.iter().map(|url| (format!("coreos-cloudinit-{}", user.name), url.clone()));
        for (set, url) in github.chain(url) {
            let home = home(inputs, &user.name);
            plan.push(Import { user: user.name.clone(), home, set, url });
        }
    }
}

/// Returns the home folder of a user: as the machine knows it, else as the file says.
fn home(inputs: Inputs<'_>, name: &str) -> String {
    if let Some(known) = inputs.facts.users.get(name) {
        return known.home.clone();
    }
    let user = inputs.config.users.iter().find(|user| user.name == name);
    let told = user.and_then(|user| user.homedir.clone());
    told.unwrap_or_else(|| if name == "root" { "/root".to_owned() } else { format!("/home/{name}") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::testing::{lines, planned};
    use crate::facts::{Facts, UserFact};
    use crate::metadata::Metadata;
    use crate::model::Secret;
    use crate::plan::Action;

    #[test]
    fn a_new_user_is_made_with_the_systems_tools() {
        assert_eq!(
            lines("users: [{name: ann, groups: [docker, ann], gecos: A B, passwd: $6$x}]\n"),
            [
                "run groupadd docker",
                "run useradd --password * --shell /bin/bash --create-home --comment \"A B\" --user-group \
                 --groups docker ann",
                "run chpasswd --encrypted",
            ]
        );
        assert_eq!(
            lines(
                "users: [{name: b, primary-group: g, groups: [g], homedir: /b, shell: /bin/sh, \
                   no-create-home: yes, no-log-init: yes, system: yes}, {name: c, no-user-group: yes}]\n"
            ),
            [
                "run groupadd g",
                "run useradd --password * --shell /bin/sh --no-create-home --home-dir /b --gid g --groups g \
                 --no-log-init --system b",
                "run useradd --password * --shell /bin/bash --create-home --no-user-group c",
            ]
        );
    }

    #[test]
    fn a_group_of_the_users_name_is_there_once() {
        assert_eq!(
            lines("users: [{name: ann, primary-group: ann}, {name: bob, groups: [cid]}, {name: cid}]\n"),
            [
                "run groupadd ann",
                "run useradd --password * --shell /bin/bash --create-home --gid ann ann",
                "run groupadd cid",
                "run useradd --password * --shell /bin/bash --create-home --user-group --groups cid bob",
                "run useradd --password * --shell /bin/bash --create-home --gid cid cid",
            ]
        );
    }

    #[test]
    fn a_user_who_is_there_gets_what_is_missing() {
        let core = UserFact {
            home: "/home/core".to_owned(),
            groups: BTreeSet::from(["sudo".to_owned()]),
            hash: Some(Secret("$6$x".to_owned())),
        };
        let facts = Facts {
            users: [("core".to_owned(), core)].into(),
            groups: ["sudo", "docker"].map(str::to_owned).into(),
            ..Facts::default()
        };
        let lines = |yaml: &str| -> Vec<String> {
            planned(yaml, &Metadata::default(), &facts).actions.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            lines("users: [{name: core, groups: [sudo, docker], passwd: $6$y, gecos: x}]\n"),
            ["run usermod --append --groups docker core", "run chpasswd --encrypted"]
        );
        assert_eq!(lines("users: [{name: core, groups: [sudo], passwd: $6$x}]\n"), Vec::<String>::new());
    }

    #[test]
    fn keys_of_the_file_and_of_the_metadata_are_a_set_each_without_repetition() {
        let key = |n: char| {
            format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA{n}AA {n}")
        };
        let metadata = Metadata {
            public_keys: [("0".to_owned(), key('A')), ("1".to_owned(), key('B'))].into(),
            ..Metadata::default()
        };
        let yaml = format!(
            "ssh_authorized_keys: [{0}]\nusers: [{{name: core, ssh_authorized_keys: [{0}]}}]\n",
            key('B')
        );
        let plan = planned(&yaml, &metadata, &Facts::default());
        let sets: Vec<_> = plan.actions.iter().filter(|action| matches!(action, Action::Keys(_))).collect();
        let [Action::Keys(file), Action::Keys(told)] = &sets[..] else { panic!("{sets:?}") };
        assert_eq!((file.user.as_str(), file.set.as_str()), ("core", "coreos-cloudinit"));
        assert_eq!(file.keys, [key('B')]);
        assert_eq!((told.user.as_str(), told.set.as_str()), ("core", "metadata"));
        assert_eq!(told.keys, [key('A'), key('B')]);
    }

    #[test]
    fn imports_are_last_and_named_after_where_they_come_from() {
        let lines = lines(
            "users: [{name: ann, coreos-ssh-import-github: a, coreos-ssh-import-github-users: [b], \
             coreos-ssh-import-url: \"https://h/k\"}]\ncoreos: {units: [{name: a.service, command: stop}]}\n",
        );
        assert_eq!(
            lines[lines.len() - 4..],
            [
                "run systemctl --no-block stop a.service",
                "import keys of ann: set github-a from https://api.github.com/users/a/keys",
                "import keys of ann: set github-b from https://api.github.com/users/b/keys",
                "import keys of ann: set coreos-cloudinit-ann from https://h/k",
            ]
        );
    }
}

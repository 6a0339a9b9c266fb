//! From a configuration, metadata and facts to the list of what is to be done: a value that can be printed.

mod action;
mod etcd;
mod files;
mod host;
mod install;
mod script;
mod services;
mod units;
mod users;

pub use action::{Action, Command, File, Import, KeySet, Link, Scope, When, is_in_scope};
pub use install::unit_file_name;

use std::collections::BTreeSet;

use crate::facts::Facts;
use crate::metadata::Metadata;
use crate::model::Config;

/// Name of the key set of keys that a configuration gives, as the original had it.
pub const KEY_SET: &str = "coreos-cloudinit";

/// Name of the key set of keys that metadata gives.
pub const METADATA_SET: &str = "metadata";

/// The unit that does what needs the network.
const NETWORK_UNIT: &str = "slipway-cloudinit.service";

/// What is to be done, in this order, and what is to be said about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is to be done.
    pub actions: Vec<Action>,
    /// What a person should know: not about the file, but about it on this machine.
    pub warnings: Vec<String>,
}

/// Which part of a plan a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    All,
    /// What needs no network: all but the imports of keys.
    BeforeNetwork,
    /// The imports, the rest being done.
    Imports,
}

/// What becomes of what earlier configurations made and this one does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// It is removed.
    Remove,
    /// It stays, because this is not the whole configuration.
    Keep,
    /// It stays as it is, because the user data is not known: what it made is not changed for what the base says.
    Untouched,
}

impl Plan {
    /// Leaves of the plan what a run is to do; `made` is what earlier configurations made.
    ///
    /// What is left for the time after the network is asked for, when it is imports or `is_later` says so: the
    /// unit that does it waits for the network, so it is started only where it is needed.
    pub fn narrow(&mut self, part: Part, stale: Stale, made: &BTreeSet<String>, is_later: bool) {
        let has_imports = self.actions.iter().any(|action| matches!(action, Action::Import(_)));
        self.actions.retain(|action| {
            let is_import = matches!(action, Action::Import(_));
            let is_removal = matches!(action, Action::Remove(_));
            let is_in_part = match part {
                Part::All => true,
                Part::BeforeNetwork => !is_import,
                Part::Imports => is_import,
            };
            let is_spared = match stale {
                Stale::Remove => false,
                Stale::Keep => is_removal,
                Stale::Untouched => is_removal || action.changes(made),
            };
            is_in_part && !is_spared
        });
        if part == Part::BeforeNetwork && (has_imports || is_later) {
            self.push(Command::new(["systemctl", "--no-block", "start", NETWORK_UNIT]));
        }
    }

    fn push(&mut self, action: impl Into<Action>) {
        self.actions.push(action.into());
    }

    fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Returns the paths that are this configuration's own: a later one that does not list them removes them.
    pub fn owned(&self) -> BTreeSet<String> {
        self.actions.iter().filter_map(Action::owned).collect()
    }
}

/// What a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The file.
    pub config: &'a Config,
    /// A program in the place of a file; the configuration then says nothing.
    pub script: Option<&'a str>,
    /// What the place says.
    pub metadata: &'a Metadata,
    /// What the machine is.
    pub facts: &'a Facts,
    /// Name of the key set of given keys, usually [`KEY_SET`].
    pub key_set: &'a str,
}

/// Plans a configuration. Reads and writes nothing; the same inputs give the same plan.
pub fn plan(inputs: Inputs<'_>) -> Plan {
    let mut plan = Plan::default();
    host::name(inputs, &mut plan);
    host::zone(inputs, &mut plan);
    users::users(inputs, &mut plan);
    files::files(inputs, &mut plan);
    services::files(inputs, &mut plan);
    host::hosts(inputs, &mut plan);
    host::environment(inputs, &mut plan);
    units::files(inputs, &mut plan);
    services::drop_ins(inputs, &mut plan);
    let starts = units::start_target(inputs, &mut plan);
    units::reload(&mut plan);
    services::update(inputs, &mut plan);
    units::commands(inputs, starts, &mut plan);
    if let Some(text) = inputs.script {
        script::script(text, &mut plan);
    }
    users::imports(inputs, &mut plan);
    one_file_per_path(&mut plan);
    removals(inputs, &mut plan);
    drop_idle(&mut plan);
    plan
}

/// Removes first what an earlier configuration made and this one does not list.
fn removals(inputs: Inputs<'_>, plan: &mut Plan) {
    let stale = inputs.facts.made.difference(&plan.owned()).cloned().map(Action::Remove).collect();
    let planned = std::mem::replace(&mut plan.actions, stale);
    plan.actions.extend(planned);
}

/// Leaves out programs for changes that no action can make.
fn drop_idle(plan: &mut Plan) {
    let touched: Vec<String> = plan.actions.iter().filter_map(Action::touched).map(str::to_owned).collect();
    plan.actions.retain(|action| match action {
        Action::Run(Command { when: When::Changed(scope), .. }) => {
            touched.iter().any(|path| is_in_scope(path, *scope))
        }
        _ => true,
    });
}

/// Of several files for one path the last one stays, or two boots would write both again and again.
fn one_file_per_path(plan: &mut Plan) {
    let mut seen = BTreeSet::new();
    let mut warnings = Vec::new();
    let mut kept: Vec<Action> = Vec::new();
    for action in std::mem::take(&mut plan.actions).into_iter().rev() {
        if let Some(path) = action.file_path()
            && !seen.insert(path.to_owned())
        {
            warnings.push(format!("{path} is given more than once: the last one counts"));
            continue;
        }
        kept.push(action);
    }
    kept.reverse();
    plan.actions = kept;
    plan.warnings.extend(warnings);
}

#[cfg(test)]
mod testing {
    //! What tests of the parts share.

    use super::*;

    /// Plans a text on a machine, which must have no errors.
    pub fn planned(text: &str, metadata: &Metadata, facts: &Facts) -> Plan {
        let (config, findings) = crate::check::check(&crate::yaml::parse(text).unwrap());
        let config = config.unwrap_or_else(|| panic!("{findings:#?}"));
        plan(Inputs { config: &config, script: None, metadata, facts, key_set: KEY_SET })
    }

    /// Plans a text on a machine without anything and returns the lines of the plan.
    pub fn lines(text: &str) -> Vec<String> {
        let plan = planned(text, &Metadata::default(), &Facts::default());
        plan.actions.iter().map(ToString::to_string).collect()
    }

    /// Returns the text of a file of a plan.
    #[track_caller]
    pub fn text(plan: &Plan, path: &str) -> String {
        let is_it = |action: &&Action| action.file_path() == Some(path);
        match plan.actions.iter().find(is_it) {
            Some(Action::File(file)) => String::from_utf8(file.content.0.clone()).unwrap(),
            other => panic!("{path}: {other:?} in {plan:#?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{lines, planned, text};
    use super::*;

    #[test]
    fn nothing_is_nothing_to_do() {
        assert_eq!(lines(""), Vec::<String>::new());
    }

    #[test]
    fn the_example_of_the_talk_is_planned_in_order() {
        let core = crate::facts::UserFact { home: "/home/core".to_owned(), ..Default::default() };
        let facts = Facts { users: [("core".to_owned(), core)].into(), ..Facts::default() };
        let plan = planned(include_str!("../tests/data/talk.yml"), &Metadata::default(), &facts);
        let shown: Vec<_> = plan.actions.iter().map(ToString::to_string).collect();
        let expected = [
            "write /run/systemd/system/etcd.service.d/20-cloudinit.conf (0644 root, 114 bytes)",
            "write /run/systemd/system/slipway-cloudinit-start.target (0644 root, 93 bytes)",
            "run systemctl daemon-reload, if a unit changed",
            "run systemctl --no-block start slipway-cloudinit-start.target",
            "import keys of core: set github-philips from https://api.github.com/users/philips/keys",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_an_earlier_file_made_goes_first_and_its_readers_are_told() {
        let made =
            ["/etc/systemd/system/a.service", "/etc/slipway/update.conf.d/20-cloudinit.conf", "/etc/b"];
        let facts = Facts { made: made.map(str::to_owned).into(), ..Facts::default() };
        let plan = planned("write_files: [{path: /etc/b}]\n", &Metadata::default(), &facts);
        let shown: Vec<_> = plan.actions.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "remove /etc/slipway/update.conf.d/20-cloudinit.conf",
                "remove /etc/systemd/system/a.service",
                "write /etc/b (0644 root, 0 bytes)",
                "run systemctl daemon-reload, if a unit changed",
                "run systemctl --no-block try-restart slipway-update.service, if \
                 /etc/slipway/update.conf.d/20-cloudinit.conf changed",
            ]
        );
    }

    #[test]
    fn a_run_does_its_part_and_takes_nothing_away_that_is_not_its_own() {
        let facts = Facts { made: ["/etc/a".to_owned()].into(), ..Facts::default() };
        let shown = |part, stale| {
            let yaml = "hostname: a\nusers: [{name: core, coreos-ssh-import-github: x}]\n";
            let mut plan = planned(yaml, &Metadata::default(), &facts);
            plan.narrow(part, stale, &facts.made, false);
            let words = |action: &Action| action.to_string().split(' ').next().map(str::to_owned);
            plan.actions.iter().filter_map(words).collect::<Vec<_>>()
        };
        let all = shown(Part::All, Stale::Remove);
        assert_eq!((all.first().unwrap().as_str(), all.last().unwrap().as_str()), ("remove", "import"));
        assert_eq!(shown(Part::All, Stale::Keep), all[1..]);
        assert_eq!(
            shown(Part::BeforeNetwork, Stale::Remove),
            [&all[..all.len() - 1], &["run".to_owned()]].concat()
        );
        assert_eq!(shown(Part::Imports, Stale::Keep), ["import"]);
    }

    #[test]
    fn the_stage_after_the_network_is_started_only_where_it_is_needed() {
        let last = |yaml: &str, is_later| {
            let mut plan = planned(yaml, &Metadata::default(), &Facts::default());
            plan.narrow(Part::BeforeNetwork, Stale::Keep, &BTreeSet::new(), is_later);
            plan.actions.last().map(ToString::to_string)
        };
        let start = Some("run systemctl --no-block start slipway-cloudinit.service".to_owned());
        assert_eq!(last("", false), None);
        assert_eq!(last("", true), start);
        assert_eq!(last("users: [{name: core, coreos-ssh-import-github: x}]\n", false), start);
    }

    #[test]
    fn the_last_of_two_files_for_one_path_counts() {
        let yaml = "write_files: [{path: /etc/oem-release, content: a}]\ncoreos: {oem: {id: x}}\n";
        let plan = planned(yaml, &Metadata::default(), &Facts::default());
        assert_eq!(plan.actions.len(), 1);
        assert!(text(&plan, "/etc/oem-release").starts_with("ID=x\n"));
        assert_eq!(plan.warnings, ["/etc/oem-release is given more than once: the last one counts"]);
    }
}

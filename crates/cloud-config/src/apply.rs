//! Doing what a plan says, below one root folder, and recording what came of it.
//!
//! Every step is tried: one that fails is reported and the next one begins.

pub mod accounts;
mod keys;
mod machine;
pub mod manifest;
mod reload;
pub mod status;
pub mod tree;

pub use machine::{Listed, Machine, Ran, System};

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::plan::{Action, Command, File, Link, Plan, Scope, When, is_in_scope};

use self::accounts::Accounts;
use self::manifest::Manifest;
use self::status::{Outcome, Step};
use self::tree::{Change, Found, Mood, Tree};

/// Folder of the state.
pub const STATE: &str = "/var/lib/slipway/cloudinit";

/// Does all of a plan, or says what it would do.
pub fn apply(tree: &Tree, plan: &Plan, machine: &mut dyn Machine, mood: Mood) -> anyhow::Result<Vec<Step>> {
    let mut run = Run {
        tree,
        machine,
        mood,
        manifest: Manifest::read(tree)?,
        changed: BTreeSet::new(),
        made: BTreeSet::new(),
        steps: Vec::new(),
    };
    if mood == Mood::Do {
        tree.make_folder(STATE, 0o700, None)?;
    }
    for action in &plan.actions {
        run.step(action.to_string(), |run| run.act(action));
    }
    if mood == Mood::Do {
        run.manifest.write(tree)?;
    }
    Ok(run.steps)
}

struct Run<'a> {
    tree: &'a Tree,
    machine: &'a mut dyn Machine,
    mood: Mood,
    manifest: Manifest,
    /// Paths that this run changed.
    changed: BTreeSet<String>,
    /// Those of them where nothing was before.
    made: BTreeSet<String>,
    steps: Vec<Step>,
}

impl Run<'_> {
    fn step(&mut self, what: String, act: impl FnOnce(&mut Self) -> anyhow::Result<Outcome>) {
        let begin = Instant::now();
        let outcome = act(self).unwrap_or_else(|err| Outcome::Failed(format!("{err:#}")));
        let milliseconds = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.steps.push(Step { what, outcome, milliseconds });
    }

    fn remove(&mut self, path: &str) -> anyhow::Result<Outcome> {
        let found = self.tree.find(path)?;
        if matches!(found, Found::Nothing | Found::Other) {
            self.manifest.forget(path);
            return Ok(Outcome::Unchanged);
        }
        if !self.manifest.is_as_recorded(path, &found) {
            self.manifest.forget(path);
            return Ok(Outcome::Skipped("somebody changed it since: it stays".to_owned()));
        }
        // Removing it would hide the version's default as well.
        let default = path.strip_prefix("/etc/").map(|rest| format!("/usr/share/factory/etc/{rest}"));
        let default = default.map(|default| self.tree.find(&default)).transpose()?;
        match default {
            Some(Found::File(file)) => {
                self.tree.write(path, &file.bytes, file.mode, Some(file.ids), self.mood)?;
            }
            Some(Found::Link(target)) => drop(self.tree.link(path, &target, self.mood)?),
            _ => drop(self.tree.remove(path, self.mood)?),
        }
        if let Some(home) = keys::home_of_set(path) {
            keys::regenerate(self.tree, home, None, self.mood)?;
        }
        self.manifest.forget(path);
        self.changed.insert(path.to_owned());
        Ok(Outcome::Done)
    }

    fn act(&mut self, action: &Action) -> anyhow::Result<Outcome> {
        match action {
            Action::File(file) => self.file(file),
            Action::Link(Link { path, target }) => {
                let change = self.tree.link(path, target, self.mood)?;
                self.manifest.record(path, target.as_bytes());
                Ok(self.outcome(path, change))
            }
            Action::Remove(path) => self.remove(path),
            Action::Unmask(path) => self.unmask(path),
            Action::Keys(set) => {
                let change = keys::write(self.tree, set, &mut self.manifest, self.mood)?;
                Ok(self.outcome(&set.home, change))
            }
            Action::Import(import) => {
                let path = crate::plan::KeySet::path(&import.home, &import.set);
                // A failed import keeps the last good set, and what is recorded of it.
                let Some(keys) = self.machine.import(import, self.mood)? else {
                    return Ok(Outcome::Skipped("the keys of the last import stay".to_owned()));
                };
                let set = import.with(keys);
                let change = keys::write(self.tree, &set, &mut self.manifest, self.mood)?;
                Ok(self.outcome(&path, change))
            }
            Action::Run(command) => self.command(command),
        }
    }

    fn outcome(&mut self, path: &str, change: Change) -> Outcome {
        match change {
            Change::Unchanged => return Outcome::Unchanged,
            Change::Made => drop(self.made.insert(path.to_owned())),
            Change::Changed => {}
        }
        self.changed.insert(path.to_owned());
        Outcome::Done
    }

    fn file(&mut self, file: &File) -> anyhow::Result<Outcome> {
        let File { path, content, mode, owner, owned } = file;
        let ids = match owner {
            None => None,
            Some(owner) => match Accounts::read(self.tree)?.ids(owner) {
                // The user would be made by a program that does not run here.
                Err(_) if !self.tree.is_host() || self.mood == Mood::Look => None,
                ids => Some(ids.with_context(|| format!("writing {path}"))?),
            },
        };
        let change = self.tree.write(path, &content.0, *mode, ids, self.mood)?;
        if *owned {
            self.manifest.record(path, &content.0);
        }
        Ok(self.outcome(path, change))
    }

    fn unmask(&mut self, path: &str) -> anyhow::Result<Outcome> {
        match self.tree.find(path)? {
            Found::Nothing => return Ok(Outcome::Unchanged),
            Found::Link(target) if target == "/dev/null" => {}
            Found::File(file) if file.bytes.is_empty() => {}
            _ => bail!("unmasking {path}: it is no mask"),
        }
        let change = self.tree.remove(path, self.mood)?;
        Ok(self.outcome(path, change))
    }

    fn command(&mut self, command: &Command) -> anyhow::Result<Outcome> {
        if let When::Changed(scope) = command.when
            && !self.changed.iter().any(|path| is_in_scope(path, scope))
        {
            return Ok(Outcome::Unchanged);
        }
        if self.mood == Mood::Look {
            return Ok(Outcome::Done);
        }
        if command.when == When::Changed(Scope::Units) && self.machine.has_units() && !self.needs_reload()? {
            return Ok(Outcome::Skipped("none of them was read before".to_owned()));
        }
        Ok(match self.machine.run(command)? {
            Ran::Done => Outcome::Done,
            Ran::Listed => Outcome::Skipped("programs do not run below another root".to_owned()),
        })
    }

    fn needs_reload(&mut self) -> anyhow::Result<bool> {
        // Asking takes a quarter of a second to half a second of a start under emulation.
        Ok(reload::may_be_needed(self.tree, &self.changed, &self.made)?
            && reload::is_needed(self.tree, &self.changed, &self.machine.units()?)?)
    }
}

//! What a plan consists of. Shown without the content of files, passwords and keys.

use std::collections::BTreeSet;
use std::fmt;

use crate::model::{Content, Owner, Secret};
use crate::names::is_below;

use super::METADATA_SET;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make a file what it should be.
    File(File),
    /// Make a link what it should be.
    Link(Link),
    /// Remove what an earlier configuration made, unless somebody changed it since.
    Remove(String),
    /// Take a mask away: a link to `/dev/null` or an empty file at this path, and nothing else.
    Unmask(String),
    /// Replace a user's key set.
    Keys(KeySet),
    /// Replace a user's key set by what a URL gives; the last good one stays if that fails.
    Import(Import),
    /// Run a program of the machine.
    Run(Command),
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Absolute path.
    pub path: String,
    /// What is in it.
    pub content: Content,
    /// Permissions.
    pub mode: u32,
    /// Owner, else root.
    pub owner: Option<Owner>,
    /// Whether a later configuration that does not list it removes it; a file that is only edited stays.
    pub owned: bool,
}

impl File {
    /// Returns a file of root for all to read, which is the configuration's own.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let content = Content::from(text.into());
        Self { path: path.into(), content, mode: 0o644, owner: None, owned: true }
    }
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Absolute path.
    pub path: String,
    /// Where it leads.
    pub target: String,
}

/// A named set of a user's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    /// User.
    pub user: String,
    /// Home folder, if the machine does not know the user.
    pub home: String,
    /// Name of the set.
    pub set: String,
    /// Lines of `authorized_keys`.
    pub keys: Vec<String>,
}

/// A named set of a user's keys that is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// User.
    pub user: String,
    /// Home folder, if the machine does not know the user.
    pub home: String,
    /// Name of the set.
    pub set: String,
    /// Where it is: a JSON array of objects with a `key` each.
    pub url: String,
}

/// A program and its arguments; never a line for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Name and arguments.
    pub argv: Vec<String>,
    /// Standard input.
    pub stdin: Option<Secret>,
    /// When to run it.
    pub when: When,
    /// The file that says the same at the next start.
    pub about: Option<&'static str>,
}

/// When to run a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In each run.
    Always,
    /// If this run changed something there.
    Changed(Scope),
}

/// Where something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What the service manager reads.
    Units,
    /// What networkd reads.
    Network,
    /// One file.
    Path(&'static str),
}

/// Tells whether a path is in a scope.
pub fn is_in_scope(path: &str, scope: Scope) -> bool {
    let in_one_of = |trees: [&str; 2]| trees.iter().any(|tree| is_below(path, tree));
    match scope {
        Scope::Units => in_one_of(["/etc/systemd/system", "/run/systemd/system"]),
        Scope::Network => in_one_of(["/etc/systemd/network", "/run/systemd/network"]),
        Scope::Path(one) => path == one,
    }
}

impl Command {
    /// Returns a program that runs each time.
    pub fn new<const N: usize>(argv: [&str; N]) -> Self {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        Self { argv, stdin: None, when: When::Always, about: None }
    }

    /// Returns the program for when something changed.
    #[must_use]
    pub fn if_changed(mut self, scope: Scope) -> Self {
        self.when = When::Changed(scope);
        self
    }
}

impl Import {
    /// Returns the set with the keys that were fetched.
    pub fn with(&self, keys: Vec<String>) -> KeySet {
        let Self { user, home, set, .. } = self;
        KeySet { user: user.clone(), home: home.clone(), set: set.clone(), keys }
    }
}

impl KeySet {
    /// Returns where a set of that name is in a home folder.
    pub fn path(home: &str, set: &str) -> String {
        format!("{}/.ssh/authorized_keys.d/{set}", home.trim_end_matches('/'))
    }
}

impl Action {
    /// Returns the path of a file or link.
    pub fn file_path(&self) -> Option<&str> {
        match self {
            Self::File(File { path, .. }) | Self::Link(Link { path, .. }) => Some(path),
            Self::Remove(_) | Self::Unmask(_) | Self::Keys(_) | Self::Import(_) | Self::Run(_) => None,
        }
    }

    /// Returns the path of a file or link that this changes, if it is not as it should be.
    pub fn touched(&self) -> Option<&str> {
        match self {
            Self::Remove(path) | Self::Unmask(path) => Some(path),
            action => action.file_path(),
        }
    }

    /// Tells whether this would make something else of what is `made`. What is below `/run` is gone with each start,
    /// and the keys of the metadata are those of now, whatever the user data is.
    pub fn changes(&self, made: &BTreeSet<String>) -> bool {
        let of_metadata = matches!(self, Self::Keys(set) if set.set == METADATA_SET);
        let path = match self {
            Self::Run(command) => command.about.map(str::to_owned),
            action => action.owned(),
        };
        !of_metadata && path.is_some_and(|path| made.contains(&path) && !is_below(&path, "/run"))
    }

    /// Returns the path that is the configuration's own.
    pub fn owned(&self) -> Option<String> {
        match self {
            Self::File(file) => file.owned.then(|| file.path.clone()),
            Self::Link(link) => Some(link.path.clone()),
            Self::Keys(KeySet { home, set, .. }) | Self::Import(Import { home, set, .. }) => {
                Some(KeySet::path(home, set))
            }
            Self::Remove(_) | Self::Unmask(_) | Self::Run(_) => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(File { path, content, mode, owner, .. }) => {
                write!(f, "write {path} ({mode:04o} ")?;
                match owner {
                    None => f.write_str("root")?,
                    Some(Owner { user, group: None }) => f.write_str(user)?,
                    Some(Owner { user, group: Some(group) }) => write!(f, "{user}:{group}")?,
                }
                write!(f, ", {} bytes)", content.0.len())
            }
            Self::Link(Link { path, target }) => write!(f, "link {path} to {target}"),
            Self::Remove(path) => write!(f, "remove {path}"),
            Self::Unmask(path) => write!(f, "unmask {path}"),
            Self::Keys(KeySet { user, set, keys, .. }) => {
                write!(f, "set keys of {user}: set {set} with {}", keys.len())
            }
            Self::Import(Import { user, set, url, .. }) => {
                write!(f, "import keys of {user}: set {set} from {url}")
            }
            Self::Run(Command { argv, when, .. }) => {
                write!(f, "run {}", shown(argv))?;
                match when {
                    When::Always => Ok(()),
                    When::Changed(Scope::Units) => f.write_str(", if a unit changed"),
                    When::Changed(Scope::Network) => f.write_str(", if a file of networkd changed"),
                    When::Changed(Scope::Path(path)) => write!(f, ", if {path} changed"),
                }
            }
        }
    }
}

/// Shows arguments so that their borders can be seen.
fn shown(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@*".contains(c);
    let word = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) { word.clone() } else { format!("{word:?}") }
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}

macro_rules! action_from {
    ($($type:ident => $variant:ident),*) => {
        $(impl From<$type> for Action {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

action_from!(File => File, Link => Link, KeySet => Keys, Import => Import, Command => Run);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_show_what_but_no_secret() {
        let file = File { mode: 0o600, ..File::new("/a", "geheim") };
        assert_eq!(Action::from(file).to_string(), "write /a (0600 root, 6 bytes)");
        let mut command = Command::new(["useradd", "--comment", "A B", "ann"]);
        command.stdin = Some(Secret("geheim".to_owned()));
        let action = Action::from(command.if_changed(Scope::Units));
        assert_eq!(action.to_string(), "run useradd --comment \"A B\" ann, if a unit changed");
        assert!(!format!("{action:?}").contains("geheim"));
    }

    #[test]
    fn scopes_are_trees_and_files() {
        assert!(is_in_scope("/run/systemd/system/a.service.d/b.conf", Scope::Units));
        assert!(!is_in_scope("/etc/systemd/systems", Scope::Units));
        assert!(is_in_scope("/etc/systemd/network/a.network", Scope::Network));
        assert!(is_in_scope("/etc/hostname", Scope::Path("/etc/hostname")));
    }
}

//! What programs on a machine say: one SSH command asks all of them, each with a deadline of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use vm::Ssh;

/// How long one program may take on a machine that is emulated and shares its cores.
const DEADLINE_SECS: u32 = 30;
/// For the connection and what the shell does.
const REST: Duration = Duration::from_secs(60);
/// What timeout(1) ends with when time was up, and when there is no such program.
const TIMED_OUT: i32 = 124;
const NOT_FOUND: i32 = 127;
/// Longest reason, in characters: it stands in a line below the table.
const REASON_MAX: usize = 200;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// The machine's id.
    Id,
    /// The system: version, slot, health.
    Slipway,
    /// The member of etcd on the machine.
    Etcd,
    /// Whether that member takes a write.
    Health,
    /// Machines that fleet sees.
    Machines,
    /// Units that fleet placed.
    Units,
    /// Who holds a slot for a reboot.
    Locks,
    /// What each machine's locksmith is at.
    Coordinators,
    /// Which versions the group found good, and which failed.
    Versions,
}

/// What a machine's programs said, or why one did not.
pub type Said = BTreeMap<Program, Result<Value, String>>;

impl Program {
    /// What `status` asks.
    pub const STATUS: [Self; 8] = [
        Self::Id,
        Self::Slipway,
        Self::Etcd,
        Self::Machines,
        Self::Units,
        Self::Locks,
        Self::Coordinators,
        Self::Versions,
    ];
    /// What `up` asks until the cluster is one.
    pub const FORMING: [Self; 4] = [Self::Etcd, Self::Health, Self::Machines, Self::Slipway];

    /// Its command, which prints JSON; a word of it is what the shell takes for one.
    pub fn command(self) -> &'static str {
        match self {
            Self::Id => r#"sh -c 'printf "\"%s\"" "$(cat /etc/machine-id)"'"#,
            Self::Slipway => "sudo -n slipway status --json",
            Self::Etcd => "etcdctl --dial-timeout=10s --command-timeout=20s endpoint status --write-out=json",
            Self::Health => {
                "etcdctl --dial-timeout=10s --command-timeout=20s endpoint health --write-out=json"
            }
            Self::Machines => "fleetctl list-machines --json",
            Self::Units => "fleetctl list-units --json",
            Self::Locks => "locksmithctl status --json",
            Self::Coordinators => "locksmithctl machines --json",
            Self::Versions => "locksmithctl versions --json",
        }
    }

    /// What it is called in a reason.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "machine-id",
            Self::Slipway => "slipway status",
            Self::Etcd => "etcdctl endpoint status",
            Self::Health => "etcdctl endpoint health",
            Self::Machines => "fleetctl list-machines",
            Self::Units => "fleetctl list-units",
            Self::Locks => "locksmithctl status",
            Self::Coordinators => "locksmithctl machines",
            Self::Versions => "locksmithctl versions",
        }
    }
}

/// Asks a machine. The error is why it could not be entered.
pub fn ask(way_in: &Ssh, programs: &[Program]) -> Result<Said, String> {
    let each = Duration::from_secs(DEADLINE_SECS.into());
    let patience = programs.iter().fold(REST, |sum, _| sum + each);
    let out = way_in.run(&script(programs), patience).map_err(|err| format!("running ssh: {err}"))?;
    if vm::ssh::failed_to_connect(&out) {
        return Err(short(&String::from_utf8_lossy(&out.stderr), "ssh said nothing"));
    }
    Ok(parse(&String::from_utf8_lossy(&out.stdout), programs))
}

/// A line for each program: its number, what it ended with, what it printed, and the end of its errors, packed.
fn script(programs: &[Program]) -> String {
    let mut script = format!(
        "err=$(mktemp); ask() {{ name=$1; shift; out=$(timeout {DEADLINE_SECS} \"$@\" 2>\"$err\"); code=$?; \
         printf '%s %s %s %s\\n' \"$name\" \"$code\" \"$(printf %s \"$out\" | base64 -w0)\" \
         \"$(tail -c 2000 \"$err\" | base64 -w0)\"; }}; "
    );
    for (at, program) in programs.iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = write!(script, "ask {at} {}; ", program.command());
    }
    script + "rm -f \"$err\""
}

fn parse(output: &str, programs: &[Program]) -> Said {
    let rows: BTreeMap<&str, &str> = output.lines().filter_map(|line| line.split_once(' ')).collect();
    let said = |(at, program): (usize, &Program)| {
        let row = rows.get(at.to_string().as_str());
        (*program, row.map_or_else(|| Err("the machine gave no answer".to_owned()), |row| answer(row)))
    };
    programs.iter().enumerate().map(said).collect()
}

fn answer(row: &str) -> Result<Value, String> {
    let broken = || format!("the machine gave a broken answer: {}", short(row, ""));
    let mut fields = row.split(' ');
    let code: i32 = fields.next().and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    let mut text = || {
        let bytes = fields.next().and_then(|field| BASE64.decode(field).ok());
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let (out, err) = (text().ok_or_else(broken)?, text().ok_or_else(broken)?);
    match code {
        0 => serde_json::from_str(&out).map_err(|err| format!("what it printed is no JSON: {err}")),
        TIMED_OUT => Err(format!("no answer within {DEADLINE_SECS} s")),
        NOT_FOUND => Err("this version has no such program".to_owned()),
        code => Err(short(&format!("{out}\n{err}"), &format!("it ended with {code}"))),
    }
}

/// The last line that says something, as it fits below a table.
fn short(text: &str, nothing: &str) -> String {
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or(nothing);
    if last.chars().count() <= REASON_MAX {
        return last.to_owned();
    }
    last.chars().take(REASON_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::json;

    use super::*;

    /// Runs the script in a shell of this machine, with programs from a folder.
    fn run(programs: &[(&str, &str)], asked: &[Program]) -> Said {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        for (name, body) in programs {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
        let out = Command::new("sh").args(["-c", &script(asked)]).env("PATH", path).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        parse(&String::from_utf8(out.stdout).unwrap(), asked)
    }

    #[test]
    fn each_program_gives_its_document_or_its_reason() {
        let programs = [
            (
                "fleetctl",
                r#"[ "$1 $2" = "list-units --json" ] && echo '[{"name": "a b"}]' && exit 0; echo one >&2; echo two >&2; exit 1"#,
            ),
            ("etcdctl", "echo not json"),
        ];
        let asked = [Program::Id, Program::Units, Program::Machines, Program::Etcd, Program::Locks];
        let said = run(&programs, &asked);
        assert!(said[&Program::Id].as_ref().unwrap().is_string());
        assert_eq!(said[&Program::Units], Ok(json!([{ "name": "a b" }])));
        assert_eq!(said[&Program::Machines], Err("two".to_owned()));
        assert!(said[&Program::Etcd].as_ref().unwrap_err().starts_with("what it printed is no JSON: "));
        assert_eq!(said[&Program::Locks], Err("this version has no such program".to_owned()));
    }

    #[test]
    fn silence_and_broken_lines_are_reasons_too() {
        let asked = [Program::Etcd, Program::Units, Program::Slipway, Program::Machines];
        let said = parse("1 x\n2 124  \n3 7  \n", &asked);
        let reasons: Vec<_> = asked.map(|program| said[&program].clone().unwrap_err()).into();
        assert_eq!(
            reasons,
            [
                "the machine gave no answer",
                "the machine gave a broken answer: x",
                "no answer within 30 s",
                "it ended with 7",
            ]
        );
    }

    #[test]
    fn a_long_reason_is_cut() {
        let said = parse(&format!("0 1 {} ", BASE64.encode("ä".repeat(1000))), &[Program::Etcd]);
        let reason = said[&Program::Etcd].clone().unwrap_err();
        assert_eq!(reason.chars().count(), REASON_MAX + 1);
        assert!(reason.ends_with('…'));
    }
}

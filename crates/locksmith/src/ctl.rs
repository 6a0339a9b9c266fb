//! `locksmithctl`: shows and changes which machines of a group may reboot.
//!
//! Results go to standard output; why something failed goes to standard error, in the original's words where it had
//! some.

mod change;
mod failure;
mod history;
mod liveness;
mod out;
mod reboot;
mod reports;
mod status;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use agent_support::host::Host;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::flags::{Command, Ctl, Program, with_two_dashes};
use crate::journal::{Journal, Level, Talk};
use crate::settings::Settings;
use crate::store::Store;
use failure::Failure;
use out::{Format, Out};

/// What every command has.
struct Context {
    host: Host,
    store: Store,
    group: String,
    out: Out,
}

/// Runs `locksmithctl` with arguments, of which the first is its name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let parsed = Ctl::command().try_get_matches_from(with_two_dashes(arguments));
    let flags = match parsed.and_then(|matches| Ctl::from_arg_matches(&matches)) {
        Ok(flags) => flags,
        Err(err) => err.exit(),
    };
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.lines() {
                eprintln!("{line}");
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run(flags: Ctl) -> Result<(), Failure> {
    let Ctl { global, json, command } = flags;
    let out = Out { format: if json { Format::Json } else { Format::Text } };
    let command = match command {
        // Asking for nothing is asking what there is.
        None => return out.text(&Ctl::command().render_help().to_string()),
        Some(Command::Completion(args)) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Ctl::command(), Program::Ctl.name(), &mut script);
            return out.text(&String::from_utf8_lossy(&script));
        }
        Some(Command::Unknown(words)) => return Err(Failure::unknown(&words)),
        Some(command) => command,
    };
    let journal = Journal::new(if global.debug { Talk::Debug } else { Talk::Quiet });
    let settings = Settings::resolve(Program::Ctl, &global, |name| env::var(name).ok());
    let settings = settings.map_err(Failure::settings)?;
    journal.say(Level::Debug, &format!("asking {} for {}", settings.etcd.endpoints.join(", "), settings.key));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::Runtime)?.block_on(async {
        let client = settings.client(Program::Ctl).map_err(Failure::settings)?;
        let store = Store::new(client, settings.key.clone());
        let cx = Context { host: Host::new(global.root.clone()), store, group: settings.group.clone(), out };
        ask(&cx, command).await
    })
}

async fn ask(cx: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Status(args) => status::run(cx, args.verbose).await,
        Command::Lock(args) => change::lock(cx, args.id).await,
        Command::Unlock(args) => change::unlock(cx, args.id).await,
        Command::SetMax(args) => change::set_max(cx, &args.words).await,
        Command::Reboot(args) if args.cancel => reboot::cancel(cx),
        Command::Reboot(_) => reboot::run(cx).await,
        Command::SendNeedReboot => reboot::pretend(cx),
        Command::Machines => reports::list(cx).await,
        Command::Forget(args) => reports::forget(cx, &args.ids).await,
        Command::Versions => history::list(cx).await,
        Command::Forgive(args) => history::forgive(cx, &args.version).await,
        // Those that ask nobody were done before.
        Command::Completion(_) | Command::Unknown(_) => Ok(()),
    }
}

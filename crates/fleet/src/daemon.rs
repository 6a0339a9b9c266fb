//! The daemon: reads the settings, serves, and keeps API, engine and agent running until it is told to end.
//!
//! It ends without a trace in the cluster: units run on, and lease and keys are for the next process to take over.
//! SIGHUP reads the settings anew and makes the parts anew; the listeners that are still wanted stay open. SIGUSR1
//! prints what is known of the parts. SIGTERM and SIGINT end it.

mod beginning;
mod board;
mod deciding;
mod listeners;
mod machine;
mod parts;
mod serving;
mod signals;
mod stop;
mod store;
mod supervise;
mod waiting;
mod working;

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sd_notify::NotifyState;
use serde_json::json;
use tokio::runtime;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{self, Config, DEFAULT_PATH, Loaded, Source};
use crate::guard;
use crate::http::ListenerError;
use crate::journal::{Journal, Level};
use listeners::Listeners;
use parts::{Parts, Whole};
use signals::{Signals, Wish};

/// What is remembered until the next boot, if the service manager names no other folder (`RuntimeDirectory=`).
const RUNTIME: &str = "/run/fleet";
/// The file in it that the guard reads.
const GUARD_FILE: &str = "guard";
/// How often the loop wakes where no watchdog waits for it.
const NO_WATCHDOG: Duration = Duration::from_secs(3600);

/// What the command line said.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A file of settings that must be there.
    pub config: Option<PathBuf>,
}

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The listeners.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// The parts.
    #[error(transparent)]
    Parts(#[from] parts::Error),
    /// The guard.
    #[error(transparent)]
    Guard(#[from] guard::Error),
    /// Who this machine is.
    #[error(transparent)]
    Machine(#[from] machine::Error),
    /// The system.
    #[error("{doing}: {err}; see the system's limits and memory")]
    System {
        /// What was done, as a gerund.
        doing: &'static str,
        /// Why it failed.
        err: io::Error,
    },
}

/// Serves until it is told to end.
///
/// # Errors
/// When the settings are wrong, or it cannot listen.
pub fn run(options: &Options) -> Result<(), Error> {
    threads()?.block_on(serve(options))
}

/// Ends when the lease of this machine is not sure to live any more.
///
/// # Errors
/// When the lease's time is not known, or over already.
pub fn guard() -> Result<(), Error> {
    let ready = || tell(&[NotifyState::Ready]);
    one_thread()?.block_on(guard::run(&runtime_folder().join(GUARD_FILE), ready))?;
    Journal::new(0)
        .say(Level::Warning, "the lease of this machine was not renewed: exclusive units stop now");
    Ok(())
}

/// Reads the settings and says what is to be said about them.
///
/// # Errors
/// When they are wrong.
pub fn check(options: &Options) -> Result<(), Error> {
    let Loaded { config, warnings } = load(options)?;
    for warning in warnings {
        Journal::new(0).say(Level::Warning, &warning);
    }
    // What is tried belongs to a runtime, although it does nothing yet.
    let runtime = one_thread()?;
    let _inside = runtime.enter();
    Whole::of(&config)?;
    Ok(())
}

/// Says why it ended.
pub fn complain(err: &Error) {
    Journal::new(0).say(Level::Error, &err.to_string());
}

/// The folder for what is remembered until the next boot.
fn runtime_folder() -> PathBuf {
    env::var_os("RUNTIME_DIRECTORY")
        .filter(|path| !path.is_empty())
        .map_or_else(|| RUNTIME.into(), PathBuf::from)
}

/// Tells the service manager, if there is one. Failing to is not an error of ours: it notices what it misses.
fn tell(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}

/// How often to say that it is alive: twice in the time that the service manager waits.
fn alive_every() -> Duration {
    let watchdog = sd_notify::watchdog_enabled().filter(|period| !period.is_zero());
    watchdog.map_or(NO_WATCHDOG, |period| period / 2)
}

fn one_thread() -> Result<runtime::Runtime, Error> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|err| Error::System { doing: "starting a thread", err })
}

fn threads() -> Result<runtime::Runtime, Error> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|err| Error::System { doing: "starting threads", err })
}

fn load(options: &Options) -> Result<Loaded, config::Error> {
    let source = match &options.config {
        Some(path) => Source::Named(path),
        None => Source::Usual(Path::new(DEFAULT_PATH)),
    };
    config::load(source, env::vars_os())
}

/// The daemon while it runs.
struct Daemon<'a> {
    options: &'a Options,
    config: Config,
    listeners: Listeners,
    parts: Parts,
    lasting: parts::Lasting,
}

async fn serve(options: &Options) -> Result<(), Error> {
    // Before all else: a signal that comes early is to be heard.
    let signals = Signals::listen();
    let mut signals = signals.map_err(|err| Error::System { doing: "listening for signals", err })?;
    let Loaded { config, warnings } = load(options)?;
    let journal = Journal::new(config.verbosity);
    for warning in warnings {
        journal.say(Level::Warning, &warning);
    }
    let lasting = parts::Lasting {
        machine: machine::id(Path::new(machine::MACHINE_ID))?,
        boot: machine::boot(Path::new(machine::BOOT_ID))?,
        board: board::Board::default(),
        runtime: runtime_folder(),
        metrics: crate::http::Metrics::new(),
        journal,
    };
    let whole = Whole::of(&config)?;
    let listeners = Listeners::open(&config.api).await?;
    for listener in listeners.all() {
        journal.say(Level::Info, &format!("the API is served at {listener}"));
    }
    let parts = whole.start(&config, listeners.all(), &lasting);
    let mut daemon = Daemon { options, config, listeners, parts, lasting };
    tell(&[NotifyState::Ready]);
    daemon.lasting.journal.say(Level::Notice, &format!("fleetd {} serves", env!("CARGO_PKG_VERSION")));
    daemon.act(&mut signals).await;
    tell(&[NotifyState::Stopping]);
    daemon.parts.stop().await;
    daemon.lasting.journal.say(Level::Notice, "fleetd ends; units stay as they are");
    Ok(())
}

impl Daemon<'_> {
    /// Acts on signals until one says to end.
    async fn act(&mut self, signals: &mut Signals) {
        let mut alive = interval(alive_every());
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let board = self.lasting.board.clone();
        loop {
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::End => return,
                    Wish::Reload => self.reload().await,
                    Wish::Show => println!("{}", self.state()),
                },
                _ = alive.tick() => tell(&[NotifyState::Watchdog]),
                () = board.changed() => tell(&[NotifyState::Status(&board.line().replace('\n', " "))]),
            }
        }
    }

    /// Reads the settings anew. What is wrong with them is said, and all stays as it was.
    async fn reload(&mut self) {
        // The time tells this reload from one before.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            tell(&[NotifyState::Reloading, now]);
        }
        if let Err(err) = self.renew().await {
            let text = format!("the settings of before stay: {err}");
            self.lasting.journal.say(Level::Error, &text);
        }
        tell(&[NotifyState::Ready]);
    }

    async fn renew(&mut self) -> Result<(), Error> {
        let Loaded { config, warnings } = load(self.options)?;
        let whole = Whole::of(&config)?;
        self.listeners.adapt(&config.api).await?;
        self.lasting.journal = self.lasting.journal.with_verbosity(config.verbosity);
        for warning in warnings {
            self.lasting.journal.say(Level::Warning, &warning);
        }
        self.parts.stop().await;
        self.parts = whole.start(&config, self.listeners.all(), &self.lasting);
        self.config = config;
        self.lasting.journal.say(Level::Notice, "the settings were read anew");
        Ok(())
    }

    /// Returns what is known of the daemon, as one line.
    fn state(&self) -> String {
        let listeners: Vec<String> = self.listeners.all().iter().map(ToString::to_string).collect();
        let state = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "machine": self.lasting.machine,
            "boot": self.lasting.boot,
            "etcdServers": self.config.etcd.servers,
            "etcdKeyPrefix": self.config.etcd.prefix,
            "metadata": self.config.metadata,
            "listeners": listeners,
            "parts": self.lasting.board.conditions(),
        });
        state.to_string()
    }
}

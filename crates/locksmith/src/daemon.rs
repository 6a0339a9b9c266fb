//! `locksmithd`: looks at the machine and its group, has the core decide the one thing that is done next, and does it.
//!
//! It keeps nothing that matters: killed at any moment, it goes on where the machine is. SIGTERM and SIGINT end it with
//! 0, and a slot that it holds stays.

mod act;
mod ear;
mod ground;
mod look;
mod read;
mod taken;
mod tell;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use agent_support::host::Host;
use anyhow::Context as _;
use clap::Parser as _;
use locksmith_core::order::{self, Last, Memory, Moment, Next, Reading, Step};
use sd_notify::NotifyState;
use slots::Version;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::agent::Agent;
use crate::coordinator::Coordinator;
use crate::flags::{self, Program, with_two_dashes};
use crate::identity::Identity;
use crate::journal::{Journal, Level, Talk};
use crate::settings::{self, Pace, Settings};
use crate::store::Store;
use ear::Ear;
use ground::Ground;
use look::Watch;
use taken::Taken;
use tell::Teller;

/// How often the machine is looked at while nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the loop wakes where no watchdog waits for it.
const NO_WATCHDOG: Duration = Duration::from_secs(3600);
/// So many steps in a row without a pause are a mistake of ours, which must not burden etcd.
const STEPS_MAX: u32 = 50;

/// The daemon while it runs.
struct Daemon {
    host: Host,
    me: Identity,
    settings: Settings,
    pace: Pace,
    store: Store,
    journal: Journal,
    agent: Agent,
    watch: Watch,
    ear: Ear,
    ground: Ground,
    taken: Taken,
    teller: Teller,
    memory: Memory,
    last: Last,
    /// The version that waited when the last step was decided.
    goal: Option<Version>,
}

/// Runs `locksmithd` with arguments, of which the first is its name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let flags = flags::Daemon::parse_from(with_two_dashes(arguments));
    let journal = Journal::new(if flags.global.debug { Talk::Debug } else { Talk::Quiet });
    match run(flags, journal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            journal.say(Level::Error, &format!("{err:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(flags: flags::Daemon, journal: Journal) -> anyhow::Result<()> {
    let variable = |name: &str| env::var(name).ok();
    let settings = Settings::resolve(Program::Daemon, &flags.global, variable)?;
    let pace = Pace::resolve(&flags, variable)?;
    let host = Host::new(flags.global.root);
    // Wrong settings are told at the start, not when a reboot is due.
    let strategy = settings::strategy(&host)?;
    let me = Identity::read(&host)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("starting a thread; see the system's limits and memory")?.block_on(async {
        let client = settings.client(Program::Daemon)?;
        let mut coordinator = Coordinator::claim(&host)?;
        coordinator.say(strategy.name(), "starting")?;
        let daemon = Daemon {
            teller: Teller::new(coordinator, client.clone(), journal),
            store: Store::new(client, settings.key.clone()),
            watch: Watch::new(strategy),
            agent: Agent::default(),
            ear: Ear::default(),
            ground: Ground::default(),
            taken: Taken::default(),
            memory: Memory::default(),
            last: Last::Done,
            goal: None,
            host,
            me,
            settings,
            pace,
            journal,
        };
        serve(daemon).await
    })
}

/// Works until it is done or told to end.
async fn serve(mut daemon: Daemon) -> anyhow::Result<()> {
    let mut end = signal(SignalKind::terminate()).context("listening for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for signals")?;
    let mut alive = interval(alive_every());
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tell::manager(&NotifyState::Ready);
    let journal = daemon.journal;
    journal.say(Level::Notice, &format!("locksmithd {} looks at this machine", env!("CARGO_PKG_VERSION")));
    {
        let work = daemon.work();
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = &mut work => break,
                _ = end.recv() => break,
                _ = interrupt.recv() => break,
                _ = alive.tick() => tell::manager(&NotifyState::Watchdog),
            }
        }
    }
    tell::manager(&NotifyState::Stopping);
    Ok(())
}

/// How often to say that it is alive: twice in the time that the service manager waits.
fn alive_every() -> Duration {
    let watchdog = sd_notify::watchdog_enabled().filter(|period| !period.is_zero());
    watchdog.map_or(NO_WATCHDOG, |period| period / 2)
}

impl Daemon {
    /// Step after step, until one says that all is done.
    async fn work(&mut self) {
        let mut n_steps = 0;
        let mut reading = None;
        loop {
            let step = self.step(reading.take()).await;
            n_steps += 1;
            if n_steps == STEPS_MAX {
                self.journal
                    .say(Level::Warning, &format!("{STEPS_MAX} steps in a row: pausing; {}", step.why));
            }
            if n_steps >= STEPS_MAX {
                sleep(LOOK_EVERY).await;
            }
            match step.next {
                Next::Wait { until } => {
                    n_steps = 0;
                    tokio::select! {
                        () = sleep(until.since(now()).min(LOOK_EVERY)) => {}
                        () = self.ear.heard() => {}
                    }
                }
                Next::Read => reading = Some(self.read().await),
                Next::Exit => return,
                next => {
                    self.last = self.act(next).await;
                    if let Last::Failed { why } = &self.last {
                        self.journal.say(Level::Warning, why);
                    }
                }
            }
        }
    }

    async fn step(&mut self, reading: Option<Reading>) -> Step {
        let (seen, strategy) = self.look(reading).await;
        let step = order::step(&seen, &self.memory);
        self.memory = step.memory.clone();
        self.last = Last::Done;
        self.goal.clone_from(&seen.local.waiting);
        if step.next != Next::Read {
            let report = self.report(&seen, strategy, &step);
            self.teller.tell(strategy, &step, report).await;
        }
        step
    }
}

/// The clock since the boot.
fn now() -> Moment {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Moment(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default()))
}

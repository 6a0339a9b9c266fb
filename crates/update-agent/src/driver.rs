//! The loop that runs effects of the state machine and feeds back what came of them.

mod offer;
mod place;

use std::collections::VecDeque;

use agent_support::host::Host;
use agent_support::{boot, durable, sealed};
use anyhow::Context;
use payload::Channel;
use slots::Version;

use crate::apply::{self, Supply, Target};
use crate::clock::Clock;
use crate::fetch::spool::{self, Spooled, Spooling};
use crate::fetch::{self, Head};
use crate::history::{self, What};
use crate::machine::{Aim, Effect, Event, Phase, step};
use crate::policy::{self, Offer, Refusal, Situation};
use crate::settings::{self, Settings};
use crate::source::{Limits, Source, SourceError, Traffic};
use crate::state::{self, Fetching, Figures, State};
use crate::status::{Reporter, Words};
use crate::{entries, failed, files, last_good, leftovers, loader, reboot, trust};

pub use place::Place;

/// Where an offer comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The channel of the settings.
    Channel,
    /// A payload that an operator names.
    Payload(Place),
}

/// What became of an update.
#[derive(Debug)]
pub struct Outcome {
    /// Where it ended.
    pub phase: Phase,
    /// Why there was nothing to take, for people.
    pub nothing: Option<String>,
    /// When this machine's place in the rollout comes, if that is why the offer was not taken.
    pub due: Option<u64>,
    /// Why it did not succeed.
    pub error: Option<anyhow::Error>,
}

/// Runs an update as far as `aim` says. The caller holds the lock.
pub fn run(host: &Host, limits: &Limits, origin: &Origin, aim: Aim, words: Words) -> anyhow::Result<Outcome> {
    let phase = match reboot::waiting(host)? {
        Some(version) => Phase::NeedReboot(version),
        None => Phase::Idle,
    };
    let waits = phase.version().cloned();
    let mut driver = Driver {
        host,
        limits,
        origin,
        reporter: Reporter::new(host, words),
        traffic: Traffic::default(),
        work: Work::default(),
        outcome: Outcome { phase: Phase::Idle, nothing: None, due: None, error: None },
    };
    if let Some(version) = waits {
        let why = format!(
            "version {version} waits for a reboot already; `slipway-update reset-status` takes that back"
        );
        driver.outcome.nothing = Some(why);
    }
    let mut phase = driver.advance(phase, Event::Wanted(aim))?;
    // What is shown while nobody works: an error is told by the history.
    if phase == Phase::Reporting {
        phase = Phase::Idle;
    }
    driver.outcome.phase = phase;
    Ok(driver.outcome)
}

struct Driver<'a> {
    host: &'a Host,
    limits: &'a Limits,
    origin: &'a Origin,
    reporter: Reporter<'a>,
    traffic: Traffic,
    work: Work,
    outcome: Outcome,
}

/// What one effect leaves for the next.
#[derive(Debug, Default)]
struct Work {
    channel: Option<Channel>,
    places: Vec<Place>,
    /// The place that gave what was asked for so far, still open: a server without ranges goes on where it was.
    source: Option<(Place, Box<dyn Source>)>,
    head: Option<Head>,
    spooled: Option<Spooled>,
    target: Option<Target>,
}

impl Driver<'_> {
    fn advance(&mut self, mut phase: Phase, event: Event) -> anyhow::Result<Phase> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let (next, effects) = step(phase, event);
            phase = next;
            self.reporter.op(phase.op(), phase.version())?;
            for effect in effects {
                let wants = effect.clone();
                match self.perform(effect) {
                    Ok(event) => events.extend(event),
                    // An error that cannot even be recorded ends the program.
                    Err(err) if matches!(wants, Effect::Report(_)) => return Err(err),
                    Err(err) => {
                        events.push_back(Event::Failed(format!("{err:#}")));
                        self.outcome.error = Some(err);
                    }
                }
            }
        }
        Ok(phase)
    }

    fn perform(&mut self, effect: Effect) -> anyhow::Result<Option<Event>> {
        match effect {
            Effect::Check => self.check().map(Some),
            Effect::Spool(version) => {
                self.spool(&version)?;
                Ok(Some(Event::Spooled))
            }
            Effect::Fill(version) => {
                self.fill(&version)?;
                Ok(Some(Event::Filled))
            }
            Effect::Verify(_) => {
                let (head, target) = (self.work.head.as_ref(), self.work.target.as_ref());
                target
                    .context("verifying without a slot")?
                    .verify(head.context("verifying without a head")?)?;
                Ok(Some(Event::Verified))
            }
            Effect::Finalize(version) => {
                self.finalize(&version)?;
                Ok(Some(Event::Finalized))
            }
            Effect::WantReboot(version) => {
                // Without it the next boot is judged by less; that is no reason to keep a version waiting.
                if let Err(err) = last_good::complete(self.host) {
                    self.reporter.say(&format!("warning: {err:#}"));
                }
                reboot::want(self.host, &version)?;
                self.reporter.say(&format!("version {version} waits for a reboot"));
                Ok(None)
            }
            Effect::ForgetReboot(_) => {
                reboot::forget(self.host)?;
                Ok(None)
            }
            Effect::Report(why) => {
                let version = self.work.head.as_ref().map(|head| head.version.clone());
                let version = version.or_else(|| self.work.channel.as_ref()?.version.parse().ok());
                history::add(self.host, What::Error, version.as_ref(), &why)?;
                state::edit(self.host, |state| state.last_error.clone_from(&why))?;
                Ok(Some(Event::Reported))
            }
        }
    }

    /// Fetches everything but `/usr`, from the first place that gives it.
    fn spool(&mut self, version: &Version) -> anyhow::Result<()> {
        leftovers::clean(self.host)?;
        let target = Target::find(self.host)?;
        self.reporter.say(&format!("fetching version {version}"));
        let res = self.at_each_place(|driver, source| driver.spool_from(source, &target));
        self.work.target = Some(target);
        res
    }

    fn spool_from(&mut self, source: &mut dyn Source, target: &Target) -> anyhow::Result<()> {
        let state = failed::record(self.host)?;
        let trust = trust::load(self.host, &state)?;
        let head = fetch::head(source, &trust, self.work.channel.as_ref())?;
        self.judge(&head, &state, target)?;
        if self.work.head.as_ref() != Some(&head) {
            let fetching = Fetching { version: head.version.clone(), digest: head.digest };
            let is_new = state.fetching.as_ref() != Some(&fetching);
            state::edit(self.host, |state| state.fetching = Some(fetching))?;
            if is_new {
                history::add(self.host, What::Started, Some(&head.version), &source.place())?;
            }
        }
        spool::clear(self.host, Some(head.digest))?;
        self.work.head = Some(head.clone());
        self.reporter.size(head.manifest.layout.total());
        let spooling = Spooling {
            host: self.host,
            limits: self.limits,
            traffic: &self.traffic,
            running_entry: &format!("{}/{}", entries::ENTRIES_DIR, target.entries.running),
            has_loader: entries::has_loader(self.host, head.manifest.loader_sha256)?,
            disk: &target.disk,
        };
        self.work.spooled = Some(spool::spool(&spooling, &head, source, &mut self.reporter)?);
        Ok(())
    }

    /// Judges the head as a whole: the channel file's word was only the first.
    fn judge(&self, head: &Head, state: &State, target: &Target) -> anyhow::Result<()> {
        let situation = Situation {
            product: sealed::image(self.host)?.product,
            running: target.entries.running.version.clone(),
            root_hash: apply::running_root_hash(self.host)?,
            usr_size: target.disk.extent(target.disk.target.usr)?.len,
            verity_size: target.disk.extent(target.disk.target.verity)?.len,
            esp_free: target.entries.free,
        };
        let offer = Offer { product: &head.manifest.product, version: &head.version };
        policy::judge_offer(offer, state, &situation)?;
        policy::judge_manifest(&head.manifest, &head.version, &head.min_from, &situation)?;
        Ok(())
    }

    /// Gives up the other slot and writes it.
    fn fill(&mut self, version: &Version) -> anyhow::Result<()> {
        let mut target = self.work.target.take().context("writing without a slot")?;
        self.reporter.say(&format!("writing version {version} to slot {}", target.disk.target_slot));
        // What the other slot's entry tells is kept before it goes; that it failed once says nothing of the new try.
        failed::record(self.host)?;
        target.give_up(self.host)?;
        let res = self.at_each_place(|driver, source| {
            let (head, spooled) = (driver.work.head.clone(), driver.work.spooled.take());
            let (head, spooled) =
                (head.context("writing without a head")?, spooled.context("writing without a tree")?);
            // Another place may have another length, or another payload.
            source.expect_total(head.manifest.layout.total())?;
            let mut supply = Supply { source, limits: driver.limits, traffic: &driver.traffic };
            let res = target.fill(&head, &spooled.tree, &mut supply, &mut driver.reporter);
            driver.work.spooled = Some(spooled);
            res
        });
        self.work.target = Some(target);
        res
    }

    /// Makes the slot findable and gives it its entry.
    fn finalize(&mut self, version: &Version) -> anyhow::Result<()> {
        let host = self.host;
        let (mut target, head) = (
            self.work.target.take().context("finishing without a slot")?,
            self.work.head.clone().context("finishing without a head")?,
        );
        let spooled = self.work.spooled.as_ref().context("finishing without a UKI")?;
        // The operator may have changed his mind during the download, or another machine have failed meanwhile.
        policy::judge_state(version, &state::load(host)?)?;
        target.entries.check_blessed()?;
        let has_loader = match &spooled.loader {
            Some(path) => match loader::keep(host, path) {
                Ok(()) => true,
                // The one on the ESP goes on to work.
                Err(err) => {
                    self.reporter.say(&format!("not keeping the payload's boot loader: {err:#}"));
                    loader::forget(host)?;
                    false
                }
            },
            None => {
                loader::forget(host)?;
                false
            }
        };
        let status = self.reporter.status();
        let figures = Figures {
            version: version.clone(),
            payload: head.manifest.layout.total(),
            reused: status.reused,
            fetched: self.traffic.bytes(),
            requests: self.traffic.requests(),
        };
        state::edit(host, |state| {
            state.waiting = Some(version.clone());
            state.loader = has_loader.then(|| version.clone());
            state.figures = Some(figures);
            state.failed.remove(version);
            state.last_error.clear();
        })?;
        target.commit(&head)?;
        let product = target.entries.running.product.clone();
        apply::write_entry(host, &product, version, &spooled.uki, head.manifest.uki_sha256)?;
        history::add(host, What::Written, Some(version), &format!("slot {}", target.disk.target_slot))
    }

    /// Tries the places in order; what a policy refuses is refused everywhere.
    fn at_each_place(
        &mut self,
        mut work: impl FnMut(&mut Self, &mut dyn Source) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut places = self.work.places.clone();
        let mut open = self.work.source.take();
        if let Some((good, _)) = &open {
            places.retain(|place| place != good);
            places.insert(0, good.clone());
        }
        let (mark, mut last) = (self.reporter.mark(), None);
        for place in &places {
            // Another place begins anew: what is on the disk already is found and counted again.
            self.reporter.rewind(&mark);
            let source = match open.take() {
                Some((_, source)) => Ok(source),
                None => place.open(self.host, self.limits, &self.traffic),
            };
            let res = source.and_then(|mut source| {
                work(self, source.as_mut())?;
                self.work.source = Some((place.clone(), source));
                Ok(())
            });
            let Err(err) = res.with_context(|| format!("taking {place}")) else { return Ok(()) };
            if err.downcast_ref::<Refusal>().is_some() {
                return Err(err);
            }
            if 1 < places.len() {
                self.reporter.say(&format!("trying the next place: {err:#}"));
            }
            last = Some(err);
        }
        Err(last.context("the offer names no place")?)
    }
}

impl Outcome {
    /// Returns whether the next check is to come later than usual: something failed that soon fails again. That the
    /// network is missing, or that a version is refused, is no such thing.
    pub fn calls_for_patience(&self) -> bool {
        let Some(err) = &self.error else { return false };
        let is_cut = matches!(err.downcast_ref::<SourceError>(), Some(SourceError::Cut { .. }));
        !is_cut && err.downcast_ref::<Refusal>().is_none()
    }
}

/// Removes what earlier runs left: spools of other payloads. The caller holds the lock.
pub fn clean(host: &Host) -> anyhow::Result<()> {
    let keep = state::load(host)?.fetching.map(|fetching| fetching.digest);
    spool::clear(host, keep)?;
    let partial = host.path(&format!("{}{}", files::STATE_FILE, durable::PARTIAL_SUFFIX));
    durable::remove(&partial).map(drop)
}

/// Reads the settings and says what is odd about them.
fn load_settings(host: &Host, reporter: &Reporter<'_>) -> anyhow::Result<Settings> {
    let (settings, warnings) = settings::load(host)?;
    for warning in warnings {
        reporter.say(&format!("warning: {warning}"));
    }
    Ok(settings)
}

fn clock(host: &Host) -> anyhow::Result<Clock> {
    Ok(Clock::read(host, sealed::image(host)?.build_time.unwrap_or(0)))
}

fn record_check(host: &Host) -> anyhow::Result<State> {
    state::edit(host, |state| {
        state.last_check = boot::now();
        state.last_error.clear();
    })
}

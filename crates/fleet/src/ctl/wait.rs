//! Waits until units are as they were asked to be. Waiting changes nothing: who interrupts it finds the units going
//! on towards what was asked for.

use std::time::Duration;

use fleet_core::model::State;
use tokio::time::{Instant, sleep};

use super::Context;
use super::failure::{FAILED, Failure};
use super::flags::unit_flags::Patience;
use super::host::log_to_stderr;
use super::out::{Event, Events, Out};
use super::sight::{Sight, Verdict};
use super::view::{Length, MachineNames};
use crate::api::{Api, Filter, Unit, UnitState};

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// Length of one of `--block-attempts`.
const ATTEMPT: Duration = Duration::from_secs(2);

/// When to give up.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    end: Option<Instant>,
}

impl Budget {
    /// Begins to count now. No patience at all is an end that has come.
    pub fn of(patience: Patience) -> Self {
        let end = match patience {
            Patience::None => Some(Instant::now()),
            Patience::Attempts(attempts) => Instant::now().checked_add(ATTEMPT.saturating_mul(attempts)),
            Patience::Endless => None,
        };
        Self { end }
    }

    /// Whether it is over.
    pub fn is_over(self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}

/// Waits for the next look.
pub async fn pause() {
    sleep(INTERVAL).await;
}

/// Lets a wait outlive a store that is away for a while, and says so once each time.
#[derive(Debug, Default)]
pub struct Outage {
    is_told: bool,
}

impl Outage {
    /// Returns what was learned, `None` while nobody answers.
    ///
    /// # Errors
    /// When the answer is an error that does not pass by itself.
    pub fn bridge<T>(&mut self, out: Out, answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match answer {
            Err(failure) if failure.is_passing() => {
                if !std::mem::replace(&mut self.is_told, true) {
                    out.remark(&format!("{failure}; still waiting"));
                }
                Ok(None)
            }
            Err(failure) => Err(failure),
            Ok(value) => {
                self.is_told = false;
                Ok(Some(value))
            }
        }
    }
}

/// Waits until all units report a state, and says each that does.
///
/// # Errors
/// When the budget is used up, a unit is destroyed meanwhile, or fleetd refuses to answer.
pub async fn until_state<A: Api>(
    cx: &Context<A>,
    units: Vec<String>,
    goal: State,
    budget: Budget,
    events: &mut Events,
) -> Result<(), Failure> {
    let mut left = units;
    let mut outage = Outage::default();
    let mut names = MachineNames::default();
    loop {
        let mut still = Vec::new();
        for name in left {
            match outage.bridge(cx.out, cx.fleet.unit(&name).await)? {
                Some(None) => return Err(Failure::Vanished(name)),
                Some(Some(unit)) if unit.current_state == Some(goal) => {
                    events.say(reached(cx, &unit, goal, &mut names).await)?;
                }
                _ => still.push(name),
            }
        }
        if still.is_empty() {
            return Ok(());
        }
        if budget.is_over() {
            return Err(give_up(cx, &still, word(goal)).await);
        }
        left = still;
        pause().await;
    }
}

/// Waits until all units run, or have done their work.
///
/// # Errors
/// When one of them does not, the budget is used up, a unit is destroyed meanwhile, or fleetd refuses to answer.
pub async fn until_active<A: Api>(
    cx: &Context<A>,
    units: Vec<(String, Sight)>,
    budget: Budget,
) -> Result<(), Failure> {
    let mut left = units;
    let mut outage = Outage::default();
    let mut down = 0_u32;
    loop {
        let mut still = Vec::new();
        for (name, mut sight) in left {
            let Some(report) = outage.bridge(cx.out, report(cx, &name).await)? else {
                still.push((name, sight));
                continue;
            };
            match sight.look(report.as_ref()) {
                Verdict::Up => {}
                Verdict::Waiting => still.push((name, sight)),
                Verdict::Down => {
                    down += 1;
                    if let Some(state) = report {
                        say_down(cx, &state).await;
                    }
                }
            }
        }
        if still.is_empty() {
            return if down == 0 { Ok(()) } else { Err(Failure::Said(FAILED)) };
        }
        if budget.is_over() {
            let names: Vec<String> = still.into_iter().map(|(name, _)| name).collect();
            return Err(give_up(cx, &names, "active").await);
        }
        left = still;
        pause().await;
    }
}

/// Waits until no machine says that a unit is active, or on the way there or away.
///
/// # Errors
/// When the budget is used up, or fleetd refuses to answer.
pub async fn until_stopped_everywhere<A: Api>(
    cx: &Context<A>,
    unit: &str,
    budget: Budget,
) -> Result<(), Failure> {
    let is_stopped = |state: &UnitState| matches!(state.systemd_active_state.as_str(), "inactive" | "failed");
    until_reports(cx, unit, budget, "inactive", |states| states.iter().all(is_stopped)).await
}

/// Waits until no machine knows a unit.
///
/// # Errors
/// When the budget is used up, or fleetd refuses to answer.
pub async fn until_gone<A: Api>(cx: &Context<A>, unit: &str, budget: Budget) -> Result<(), Failure> {
    until_reports(cx, unit, budget, "destroyed", <[UnitState]>::is_empty).await
}

async fn until_reports<A: Api>(
    cx: &Context<A>,
    unit: &str,
    budget: Budget,
    state: &'static str,
    is_reached: impl Fn(&[UnitState]) -> bool,
) -> Result<(), Failure> {
    let filter = Filter { unit: Some(unit.to_owned()), machine: None };
    let mut outage = Outage::default();
    loop {
        let states = outage.bridge(cx.out, cx.fleet.states(filter.clone()).await)?;
        if states.is_some_and(|states| is_reached(&states)) {
            return Ok(());
        }
        if budget.is_over() {
            return Err(Failure::TimedOut { unit: unit.to_owned(), state });
        }
        pause().await;
    }
}

/// Returns what a unit's machine reports of it.
async fn report<A: Api>(cx: &Context<A>, name: &str) -> Result<Option<UnitState>, Failure> {
    let unit = cx.fleet.unit(name).await?.ok_or_else(|| Failure::Vanished(name.to_owned()))?;
    match unit.machine_id {
        Some(machine) => cx.fleet.state(name, &machine).await,
        None => Ok(None),
    }
}

/// Returns the line of a unit that is as wanted: `Unit X launched on e1cd2bcd.../172.17.8.101`.
async fn reached<A: Api>(cx: &Context<A>, unit: &Unit, goal: State, names: &mut MachineNames) -> Event {
    let machine = unit.machine_id.clone().filter(|_| goal != State::Inactive);
    let mut line = format!("Unit {} {goal}", unit.name);
    if let Some(id) = &machine {
        if !names.knows(id) {
            // Without the list of machines the id is still true.
            *names =
                cx.fleet.machines().await.map(|machines| MachineNames::of(&machines)).unwrap_or_default();
        }
        line.push_str(&format!(" on {}", names.cell(id, Length::Short)));
    }
    Event { unit: unit.name.clone(), state: word(goal), machine, line }
}

/// Says that a unit does not run, with the end of its log.
async fn say_down<A: Api>(cx: &Context<A>, state: &UnitState) {
    let machines = cx.fleet.machines().await.unwrap_or_default();
    let not_active = Failure::NotActive {
        unit: state.name.clone(),
        machine: MachineNames::of(&machines).cell(&state.machine_id, Length::Short),
        active: state.systemd_active_state.clone(),
        sub: state.systemd_sub_state.clone(),
    };
    cx.out.remark(&not_active.to_string());
    log_to_stderr(cx, &machines, &state.machine_id, &state.name).await;
}

/// Says which units are not as wanted, and what is known about why.
async fn give_up<A: Api>(cx: &Context<A>, units: &[String], state: &'static str) -> Failure {
    for name in units {
        cx.out.remark(&Failure::TimedOut { unit: name.clone(), state }.to_string());
        // The failure has been said; what is not learned about it is left out.
        let Ok(Some(unit)) = cx.fleet.unit(name).await else { continue };
        match &unit.machine_id {
            None => {
                if let Ok(Some(why)) = cx.fleet.explain(name).await {
                    cx.out.remark(&format!("{name}: {}", why.summary));
                }
            }
            Some(machine) if state == "active" => {
                let machines = cx.fleet.machines().await.unwrap_or_default();
                log_to_stderr(cx, &machines, machine, name).await;
            }
            Some(_) => {}
        }
    }
    Failure::Said(FAILED)
}

/// Returns a state as it is written.
pub fn word(state: State) -> &'static str {
    match state {
        State::Inactive => "inactive",
        State::Loaded => "loaded",
        State::Launched => "launched",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_attempt_takes_two_seconds() {
        let budget = Budget::of(Patience::Attempts(2));
        tokio::time::advance(Duration::from_millis(3999)).await;
        assert!(!budget.is_over());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(budget.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn endless_patience_never_ends() {
        let budget = Budget::of(Patience::Endless);
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert!(!budget.is_over());
        assert!(Budget::of(Patience::None).is_over());
    }
}

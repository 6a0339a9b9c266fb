//! `submit`, `load` and `start`: stores units where that is needed, sets what is wanted of them, and waits.

use fleet_core::model::State;

use super::Context;
use super::failure::Failure;
use super::flags::unit_flags::Patience;
use super::local::Argument;
use super::out::{Event, Events};
use super::plan::{Step, plan};
use super::source::Replacing;
use super::view::Spread;
use super::wait::{Budget, until_active, until_state, word};
use crate::api::Api;

/// Which of the commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `submit`.
    Submit,
    /// `load`.
    Load,
    /// `start`.
    Start,
}

impl Verb {
    /// Returns the state that it asks for.
    pub fn goal(self) -> State {
        match self {
            Self::Submit => State::Inactive,
            Self::Load => State::Loaded,
            Self::Start => State::Launched,
        }
    }

    /// Returns its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Load => "load",
            Self::Start => "start",
        }
    }

    /// Returns the command for units in a state.
    pub fn of(state: State) -> Self {
        match state {
            State::Inactive => Self::Submit,
            State::Loaded => Self::Load,
            State::Launched => Self::Start,
        }
    }
}

/// Does it for all units of a command.
///
/// # Errors
/// When there are none, one of them cannot be brought there, or does not come there in time.
pub async fn run<A: Api>(
    cx: &Context<A>,
    verb: Verb,
    units: &[String],
    replacing: Replacing,
    patience: Patience,
) -> Result<(), Failure> {
    if units.is_empty() {
        return Err(Failure::NoUnits);
    }
    let arguments = Argument::parse_all(units)?;
    let mut events = Events::new(cx.out);
    let result = bring(cx, verb, &arguments, replacing, patience, &mut events).await;
    events.finish(result)
}

async fn bring<A: Api>(
    cx: &Context<A>,
    verb: Verb,
    arguments: &[Argument],
    replacing: Replacing,
    patience: Patience,
    events: &mut Events,
) -> Result<(), Failure> {
    // All are looked at before one is touched: a name with a slip changes nothing.
    let mut steps: Vec<Step> = Vec::new();
    for argument in arguments {
        if !steps.iter().any(|step| step.name == argument.name.as_str()) {
            steps.extend(plan(cx, verb, argument, replacing).await?);
        }
    }
    let mut waiting = Vec::new();
    for step in steps {
        if let Some(wish) = &step.wish {
            cx.fleet.put(&step.name, wish.clone()).await?;
        }
        match (verb, step.facts.spread) {
            (Verb::Submit, _) => events.say(Event {
                line: format!("Unit {} inactive", step.name),
                unit: step.name,
                state: word(State::Inactive),
                machine: None,
            })?,
            (_, Spread::Global) => events.say(triggered("global unit", &step.name, verb.word()))?,
            (_, Spread::Single) if patience == Patience::None => {
                events.say(triggered("unit", &step.name, verb.word()))?;
            }
            (_, Spread::Single) => waiting.push(step),
        }
    }
    let budget = Budget::of(patience);
    let names = waiting.iter().map(|step| step.name.clone()).collect();
    until_state(cx, names, verb.goal(), budget, events).await?;
    if verb != Verb::Start {
        return Ok(());
    }
    let started = waiting.into_iter().map(|step| (step.name, step.facts.sight()));
    until_active(cx, started.collect(), budget).await
}

/// Returns what is said of a unit that nobody waits for.
pub fn triggered(what: &str, unit: &str, verb: &str) -> Event {
    Event {
        unit: unit.to_owned(),
        state: "triggered",
        machine: None,
        line: format!("Triggered {what} {unit} {verb}"),
    }
}

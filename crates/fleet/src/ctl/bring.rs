//! `submit`, `load` and `start`: stores units where that is needed, sets what is wanted of them, and waits.

use fleet_core::model::State;
use fleet_core::unit_file::UnitFile;

use super::Context;
use super::failure::Failure;
use super::flags::unit_flags::Patience;
use super::local::{Argument, check};
use super::out::{Event, Events};
use super::source::{Replacing, of_new, of_stored};
use super::view::{Facts, Spread};
use super::wait::{Budget, until_active, until_state, word};
use crate::api::{Api, Unit, Wish};

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
    fn goal(self) -> State {
        match self {
            Self::Submit => State::Inactive,
            Self::Load => State::Loaded,
            Self::Start => State::Launched,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Load => "load",
            Self::Start => "start",
        }
    }

    /// Returns the command for units in a state.
    fn of(state: State) -> Self {
        match state {
            State::Inactive => Self::Submit,
            State::Loaded => Self::Load,
            State::Launched => Self::Start,
        }
    }
}

/// A unit that a command has changed, or that is still on its way.
#[derive(Debug)]
struct Brought {
    name: String,
    facts: Facts,
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
    let mut waiting = Vec::new();
    for argument in arguments {
        let Some(brought) = one(cx, verb, argument, replacing).await? else { continue };
        match (verb, brought.facts.spread) {
            (Verb::Submit, _) => events.say(Event {
                line: format!("Unit {} inactive", brought.name),
                unit: brought.name,
                state: word(State::Inactive),
                machine: None,
            })?,
            (_, Spread::Global) => events.say(triggered("global unit", &brought.name, verb.word()))?,
            (_, Spread::Single) if patience == Patience::None => {
                events.say(triggered("unit", &brought.name, verb.word()))?;
            }
            (_, Spread::Single) => waiting.push(brought),
        }
    }
    let budget = Budget::of(patience);
    let names = waiting.iter().map(|brought| brought.name.clone()).collect();
    until_state(cx, names, verb.goal(), budget, events).await?;
    if verb != Verb::Start {
        return Ok(());
    }
    let started = waiting.into_iter().map(|brought| (brought.name, brought.facts.sight()));
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

/// Changes one unit; `None` if it is as wanted.
async fn one<A: Api>(
    cx: &Context<A>,
    verb: Verb,
    argument: &Argument,
    replacing: Replacing,
) -> Result<Option<Brought>, Failure> {
    match cx.fleet.unit(argument.name.as_str()).await? {
        None => {
            let file = of_new(cx, argument, replacing).await?;
            store(cx, argument, file, Some(verb.goal())).await.map(Some)
        }
        Some(unit) => stored(cx, verb, argument, unit, replacing).await,
    }
}

async fn stored<A: Api>(
    cx: &Context<A>,
    verb: Verb,
    argument: &Argument,
    unit: Unit,
    replacing: Replacing,
) -> Result<Option<Brought>, Failure> {
    let facts = Facts::of(&unit);
    let wanted = unit.desired_state.unwrap_or(State::Inactive);
    // Storing a unit that is stored leaves it as it is.
    let desired = (verb != Verb::Submit && wanted != verb.goal()).then(|| verb.goal());
    if let Some(file) = of_stored(cx, argument, &facts, replacing).await? {
        if wanted > verb.goal() {
            return Err(Failure::OtherState {
                unit: unit.name,
                is: word(wanted),
                would_be: word(verb.goal()),
                command: Verb::of(wanted).word(),
            });
        }
        return store(cx, argument, file, desired).await.map(Some);
    }
    if desired.is_some() {
        cx.fleet.put(&unit.name, Wish { content: None, desired }).await?;
        return Ok(Some(Brought { name: unit.name, facts }));
    }
    let is_there =
        verb == Verb::Submit || facts.spread == Spread::Global || unit.current_state == Some(verb.goal());
    Ok((!is_there).then_some(Brought { name: unit.name, facts }))
}

/// Checks content and stores it.
async fn store<A: Api>(
    cx: &Context<A>,
    argument: &Argument,
    file: UnitFile,
    desired: Option<State>,
) -> Result<Brought, Failure> {
    for warning in check(&argument.name, &file)? {
        cx.out.remark(&format!("WARNING: Unit {}: {warning}", argument.name));
    }
    let name = argument.name.to_string();
    cx.fleet.put(&name, Wish { content: Some(file.content().to_owned()), desired }).await?;
    Ok(Brought { facts: Facts::of_file(&argument.name, file), name })
}

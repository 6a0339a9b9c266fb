//! `stop`, `unload`, `destroy` and `restart`: units that are stored, step by step back.

use fleet_core::model::State;

use super::Context;
use super::bring::triggered;
use super::failure::Failure;
use super::flags::unit_flags::Patience;
use super::local::Argument;
use super::out::{Event, Events};
use super::view::{Facts, Spread};
use super::wait::{Budget, until_active, until_gone, until_state, until_stopped_everywhere};
use crate::api::{Api, Unit, Wish};

/// Which of the commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `stop`.
    Stop,
    /// `unload`.
    Unload,
}

impl Verb {
    fn goal(self) -> State {
        match self {
            Self::Stop => State::Loaded,
            Self::Unload => State::Inactive,
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Stop => ("stop", "stopped"),
            Self::Unload => ("unload", "unloaded"),
        }
    }
}

/// Stops or unloads units.
///
/// # Errors
/// When there are none, one cannot be stopped, or is not as wanted in time.
pub async fn run<A: Api>(
    cx: &Context<A>,
    verb: Verb,
    units: &[String],
    patience: Patience,
) -> Result<(), Failure> {
    let units = stored(cx, units).await?;
    let mut events = Events::new(cx.out);
    let result = take(cx, verb, &units, patience, &mut events).await;
    events.finish(result)
}

async fn take<A: Api>(
    cx: &Context<A>,
    verb: Verb,
    units: &[(Unit, Facts)],
    patience: Patience,
    events: &mut Events,
) -> Result<(), Failure> {
    if verb == Verb::Stop {
        // All are looked at before one is touched.
        units.iter().try_for_each(|(unit, facts)| is_placed(unit, facts))?;
    }
    let goal = verb.goal();
    let (word, done) = verb.words();
    let mut waiting = Vec::new();
    for (unit, facts) in units {
        let is_wanted = unit.desired_state == Some(goal);
        if is_wanted && (facts.spread == Spread::Global || unit.current_state == Some(goal)) {
            continue;
        }
        if !is_wanted {
            cx.fleet.put(&unit.name, Wish { content: None, desired: Some(goal) }).await?;
        }
        match (facts.spread, patience) {
            (Spread::Global, _) => events.say(triggered("global unit", &unit.name, word))?,
            (Spread::Single, Patience::None) => events.say(triggered("unit", &unit.name, word))?,
            (Spread::Single, _) => waiting.push(unit.name.clone()),
        }
    }
    let names = waiting.join(" ");
    until_state(cx, waiting, goal, Budget::of(patience), events).await?;
    if !names.is_empty() {
        cx.out.remark(&format!("Successfully {done} units [{names}]."));
    }
    Ok(())
}

/// Destroys units. Waits until no machine knows them only where attempts are counted, because what is destroyed is
/// gone from the store at once.
///
/// # Errors
/// When there are none, fleetd refuses it, or a machine still knows one in the end.
pub async fn destroy<A: Api>(cx: &Context<A>, units: &[String], patience: Patience) -> Result<(), Failure> {
    let units = stored(cx, units).await?;
    let mut events = Events::new(cx.out);
    let result = async {
        for (unit, _) in &units {
            // Somebody else may have been faster: then it is destroyed as well.
            cx.fleet.delete(&unit.name).await?;
            if matches!(patience, Patience::Attempts(_)) {
                until_gone(cx, &unit.name, Budget::of(patience)).await?;
            }
            events.say(Event {
                line: format!("Destroyed {}", unit.name),
                unit: unit.name.clone(),
                state: "destroyed",
                machine: None,
            })?;
        }
        Ok(())
    };
    let result = result.await;
    events.finish(result)
}

/// Stops and starts units one after the other, so that of several at most one is away.
///
/// # Errors
/// When there are none, one is on no machine, or does not come back in time.
pub async fn restart<A: Api>(cx: &Context<A>, units: &[String], patience: Patience) -> Result<(), Failure> {
    let units = stored(cx, units).await?;
    let mut events = Events::new(cx.out);
    let result = async {
        units.iter().try_for_each(|(unit, facts)| is_placed(unit, facts))?;
        for (unit, facts) in &units {
            restart_one(cx, unit, facts, patience, &mut events).await?;
        }
        Ok(())
    };
    let result = result.await;
    events.finish(result)
}

async fn restart_one<A: Api>(
    cx: &Context<A>,
    unit: &Unit,
    facts: &Facts,
    patience: Patience,
    events: &mut Events,
) -> Result<(), Failure> {
    let budget = Budget::of(patience);
    let name = &unit.name;
    let wish = |state| Wish { content: None, desired: Some(state) };
    cx.fleet.put(name, wish(State::Loaded)).await?;
    if facts.spread == Spread::Global {
        events.say(triggered("global unit", name, "stop"))?;
        // Started before they have stopped, they would not be restarted at all.
        until_stopped_everywhere(cx, name, budget).await?;
        cx.fleet.put(name, wish(State::Launched)).await?;
        return events.say(triggered("global unit", name, "start"));
    }
    until_state(cx, vec![name.clone()], State::Loaded, budget, events).await?;
    cx.fleet.put(name, wish(State::Launched)).await?;
    until_state(cx, vec![name.clone()], State::Launched, budget, events).await?;
    until_active(cx, vec![(name.clone(), facts.sight())], budget).await
}

fn is_placed(unit: &Unit, facts: &Facts) -> Result<(), Failure> {
    let inactive = matches!(unit.current_state, None | Some(State::Inactive));
    if inactive && facts.spread == Spread::Single {
        return Err(Failure::NotPlaced(unit.name.clone()));
    }
    Ok(())
}

/// Returns the units that are stored, each once. Those that are not are a remark and no error: scripts rely on it.
async fn stored<A: Api>(cx: &Context<A>, units: &[String]) -> Result<Vec<(Unit, Facts)>, Failure> {
    if units.is_empty() {
        return Err(Failure::NoUnits);
    }
    let mut found: Vec<(Unit, Facts)> = Vec::new();
    let mut missing = Vec::new();
    for argument in Argument::parse_all(units)? {
        match cx.fleet.unit(argument.name.as_str()).await? {
            Some(unit) if found.iter().any(|(known, _)| known.name == unit.name) => {}
            Some(unit) => {
                let facts = Facts::of(&unit);
                found.push((unit, facts));
            }
            None => missing.push(argument.name.to_string()),
        }
    }
    if found.is_empty() {
        cx.out.remark("Units not found in registry");
    } else {
        for name in missing {
            cx.out.remark(&format!("Unit {name} not found in registry"));
        }
    }
    Ok(found)
}

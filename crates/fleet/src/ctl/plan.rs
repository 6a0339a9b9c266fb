//! What `submit`, `load` and `start` change about a unit, decided before anything is changed.

use fleet_core::model::State;
use fleet_core::unit_file::UnitFile;

use super::Context;
use super::bring::Verb;
use super::failure::Failure;
use super::local::{Argument, check};
use super::source::{Replacing, of_new, of_stored};
use super::view::{Facts, Spread};
use super::wait::word;
use crate::api::{Api, Unit, Wish};

/// What there is to do for a unit that is not as wanted.
#[derive(Debug)]
pub struct Step {
    /// Unit.
    pub name: String,
    /// What its file says, or will say.
    pub facts: Facts,
    /// What is sent; nothing for a unit that is on its way already.
    pub wish: Option<Wish>,
}

/// Decides about one unit; `None` if it is as wanted.
///
/// # Errors
/// When there is no content for it, or the content cannot be what is wanted.
pub async fn plan<A: Api>(
    cx: &Context<A>,
    verb: Verb,
    argument: &Argument,
    replacing: Replacing,
) -> Result<Option<Step>, Failure> {
    match cx.fleet.unit(argument.name.as_str()).await? {
        None => {
            let file = of_new(cx, argument, replacing).await?;
            store(cx, argument, file, Some(verb.goal())).map(Some)
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
) -> Result<Option<Step>, Failure> {
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
        return store(cx, argument, file, desired).map(Some);
    }
    if desired.is_some() {
        let wish = Some(Wish { content: None, desired });
        return Ok(Some(Step { name: unit.name, facts, wish }));
    }
    let is_there =
        verb == Verb::Submit || facts.spread == Spread::Global || unit.current_state == Some(verb.goal());
    Ok((!is_there).then_some(Step { name: unit.name, facts, wish: None }))
}

/// Checks content that is to be stored.
fn store<A: Api>(
    cx: &Context<A>,
    argument: &Argument,
    file: UnitFile,
    desired: Option<State>,
) -> Result<Step, Failure> {
    for warning in check(&argument.name, &file)? {
        cx.out.remark(&format!("WARNING: Unit {}: {warning}", argument.name));
    }
    let wish = Some(Wish { content: Some(file.content().to_owned()), desired });
    Ok(Step { name: argument.name.to_string(), facts: Facts::of_file(&argument.name, file), wish })
}

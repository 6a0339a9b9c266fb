//! Which content a unit gets, and when what is stored differs from what is on this machine.
//!
//! A new unit has the content of, in this order: the local file of its name, its template as stored, the local file of
//! its template. The content is copied: changing a template changes no instance. `--replace` puts what is local first.

use std::path::PathBuf;

use fleet_core::name::UnitName;
use fleet_core::unit_file::UnitFile;

use super::Context;
use super::failure::Failure;
use super::local::{Argument, Local, LocalError};
use super::view::{Facts, file};
use crate::api::{Api, Unit};

/// Whether local files win over what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacing {
    /// They do: `--replace`.
    Local,
    /// What is stored stays.
    Nothing,
}

/// Returns the content for a unit that is not stored.
///
/// # Errors
/// When there is none, or it cannot be read.
pub async fn of_new<A: Api>(
    cx: &Context<A>,
    argument: &Argument,
    replacing: Replacing,
) -> Result<UnitFile, Failure> {
    if let Some(own) = argument.own_file()? {
        return Ok(own.file);
    }
    of_template(cx, argument, replacing)
        .await?
        .ok_or_else(|| Failure::NowhereFound(argument.name.to_string()))
}

/// Returns the content that replaces that of a stored unit, if there is any that differs.
///
/// # Errors
/// When a file cannot be read, or fleetd does not answer.
pub async fn of_stored<A: Api>(
    cx: &Context<A>,
    argument: &Argument,
    stored: &Facts,
    replacing: Replacing,
) -> Result<Option<UnitFile>, Failure> {
    let differs = |file: &UnitFile| file.hash() != stored.hash();
    if replacing == Replacing::Local {
        let found = match argument.own_file()? {
            Some(own) => Some(own.file),
            None => of_template(cx, argument, replacing).await?,
        };
        return Ok(found.filter(differs));
    }
    let local = match argument.own_file()? {
        Some(own) => Some(own),
        None => argument.template_file()?,
    };
    if let Some(local) = local.filter(|local| differs(&local.file)) {
        cx.out.remark(&warning(&argument.name, &local));
    }
    Ok(None)
}

/// Returns the content of an instance's template, if there is one.
async fn of_template<A: Api>(
    cx: &Context<A>,
    argument: &Argument,
    replacing: Replacing,
) -> Result<Option<UnitFile>, Failure> {
    let Some(name) = argument.name.template() else { return Ok(None) };
    let stored = cx.fleet.unit(name.as_str()).await?.map(|unit| parse(&unit)).transpose()?;
    let local = argument.template_file()?;
    Ok(match (stored, local) {
        (Some(stored), Some(local)) if stored.hash() != local.file.hash() => {
            if replacing == Replacing::Local {
                Some(local.file)
            } else {
                cx.out.remark(&warning(&name, &local));
                Some(stored)
            }
        }
        (Some(stored), _) => Some(stored),
        (None, local) => local.map(|local| local.file),
    })
}

fn parse(unit: &Unit) -> Result<UnitFile, LocalError> {
    file(unit).map_err(|source| LocalError::Syntax { path: PathBuf::from(&unit.name), source })
}

fn warning(name: &UnitName, local: &Local) -> String {
    format!(
        "WARNING: Unit {name} in registry differs from local unit file {}. Add --replace to override.",
        local.path.display()
    )
}

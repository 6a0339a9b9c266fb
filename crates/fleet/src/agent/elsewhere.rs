//! Where units are that this machine still has and is not to have: looked up while there are any, and not otherwise.

use std::collections::BTreeMap;

use etcd_rpc::{Client, Error};
use fleet_core::agent::Elsewhere;
use fleet_core::name::UnitName;

use super::settings::Settings;
use crate::registry::{PlaceValue, StateValue, from_json, get_all};

/// Looks up where `units` are: their places, and the reports of those machines.
pub(super) async fn look(
    client: &Client,
    settings: &Settings,
    units: &[UnitName],
) -> Result<BTreeMap<UnitName, Elsewhere>, Error> {
    let keys = &settings.keys;
    let mut found = BTreeMap::new();
    let mut placed = Vec::new();
    let places: Vec<String> = units.iter().map(|unit| keys.place(unit)).collect();
    let places = get_all(client, &places).await?;
    for (unit, place) in units.iter().zip(places) {
        match place.map(|kv| from_json::<PlaceValue>(&kv.value)) {
            None => drop(found.insert(unit.clone(), Elsewhere::of(None))),
            Some(Ok(place)) => placed.push((unit, place.machine)),
            // A place that is not understood is one: the unit stays until the grace has ended.
            Some(Err(_)) => drop(found.insert(unit.clone(), Elsewhere::Coming)),
        }
    }
    let reports: Vec<String> = placed.iter().map(|(unit, machine)| keys.state(machine, unit)).collect();
    for ((unit, _), report) in placed.iter().zip(get_all(client, &reports).await?) {
        let report = report.and_then(|kv| from_json::<StateValue>(&kv.value).ok());
        let report = report.map(|value| value.report);
        found.insert((*unit).clone(), Elsewhere::of(Some(report.as_ref())));
    }
    Ok(found)
}

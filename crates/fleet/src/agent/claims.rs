//! Claims of exclusive units: who has one may run the unit, and nobody else.

use etcd_rpc::{Answer, Client, Compare, Error, KeyValue, Op, Txn};
use fleet_core::name::UnitName;

use super::settings::Settings;
use super::standing::Membership;
use crate::registry::{ClaimValue, Key, from_json, to_json};

/// What a request for a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claimed {
    /// This machine has it.
    Here,
    /// It was refused, for this reason.
    Refused(String),
}

/// What giving up a claim came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Released {
    /// This machine does not have it.
    Gone,
    /// The claim or this machine's key has changed; it is looked at again.
    Changed,
}

/// Claims a unit for the entry of this modification, if the entry and this machine's key are still those.
pub(super) async fn claim(
    client: &Client,
    settings: &Settings,
    membership: &Membership,
    unit: &UnitName,
    modification: i64,
) -> Result<Claimed, Error> {
    let keys = &settings.keys;
    let (claim, entry) = (keys.claim(unit), keys.entry(&settings.machine, unit));
    let machine = keys.machine(&settings.machine);
    let value = to_json(&ClaimValue { machine: settings.machine.clone(), entry: modification });
    let sure = || {
        Txn::new()
            .when(Compare::mod_revision(&entry, modification))
            .when(Compare::mod_revision(&machine, membership.modification))
    };
    let txn = sure().when(Compare::absent(&claim)).then(Op::put(&claim, value.clone()));
    let outcome = client.txn(txn.or_else(Op::get(&claim))).await?;
    if outcome.succeeded {
        return Ok(Claimed::Here);
    }
    let Some(Answer::Got(Some(there))) = outcome.answers.into_iter().next() else {
        return Ok(Claimed::Refused(
            "its entry or this machine's key has changed; it is looked at again".into(),
        ));
    };
    match from_json::<ClaimValue>(&there.value) {
        Ok(known) if known.machine == settings.machine => {}
        Ok(known) => {
            let holder = known.machine;
            return Ok(Claimed::Refused(format!(
                "machine {holder} has the claim; it goes when the unit has stopped there, or that machine is lost"
            )));
        }
        Err(err) => {
            let text = format!("{claim}: {err}; delete it if no machine runs the unit");
            return Ok(Claimed::Refused(text));
        }
    }
    let txn = sure().when(Compare::mod_revision(&claim, there.mod_revision)).then(Op::put(&claim, value));
    if client.txn(txn).await?.succeeded {
        return Ok(Claimed::Here);
    }
    Ok(Claimed::Refused("its entry or its claim has changed; it is looked at again".into()))
}

/// Gives up the claim of a unit that has stopped. One that another machine has by now is left alone.
pub(super) async fn release(
    client: &Client,
    settings: &Settings,
    membership: &Membership,
    unit: &UnitName,
) -> Result<Released, Error> {
    let keys = &settings.keys;
    let (key, machine) = (keys.claim(unit), keys.machine(&settings.machine));
    let Some(there) = client.get(&key).await?.kv else { return Ok(Released::Gone) };
    if !is_ours(settings, &there) {
        return Ok(Released::Gone);
    }
    let txn = Txn::new()
        .when(Compare::mod_revision(&key, there.mod_revision))
        .when(Compare::mod_revision(&machine, membership.modification))
        .then(Op::delete(&key));
    Ok(if client.txn(txn).await?.succeeded { Released::Gone } else { Released::Changed })
}

/// Reads which units this machine has the claims of.
pub(super) async fn read(client: &Client, settings: &Settings) -> Result<Vec<UnitName>, Error> {
    let keys = &settings.keys;
    let listing = client.list(&keys.claims()).await?;
    let ours = listing.kvs.iter().filter(|kv| is_ours(settings, kv));
    let unit = |kv: &KeyValue| match keys.parse(&kv.key) {
        Some(Key::Claim(unit)) => Some(unit),
        _ => None,
    };
    Ok(ours.filter_map(unit).collect())
}

/// Whether this machine has a claim. One that is not understood is nobody's to give up.
fn is_ours(settings: &Settings, kv: &KeyValue) -> bool {
    from_json::<ClaimValue>(&kv.value).is_ok_and(|claim| claim.machine == settings.machine)
}

//! Claims of exclusive units: who has one may run the unit, and nobody else.

use etcd_rpc::{Answer, Client, Compare, Error, Op, Txn};
use fleet_core::name::UnitName;

use super::settings::Settings;
use super::standing::Membership;
use super::wire::{Claim, Keys};

/// What a request for a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claimed {
    /// This machine has it.
    Here,
    /// It was refused, for this reason.
    Refused(String),
}

/// Claims a unit for the entry of this modification, if the entry and this machine's key are still those.
pub(super) async fn claim(
    client: &Client,
    settings: &Settings,
    membership: &Membership,
    unit: &UnitName,
    modification: i64,
) -> Result<Claimed, Error> {
    let keys = Keys::new(&settings.prefix);
    let (claim, entry) = (keys.claim(unit), keys.entry(&settings.machine, unit));
    let machine = keys.machine(&settings.machine);
    let value = Claim { machine: settings.machine.clone(), entry: modification }.to_json();
    let sure = || {
        Txn::new()
            .when(Compare::mod_revision(&entry, modification))
            .when(Compare::create_revision(&machine, membership.created))
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
    match Claim::from_json(&there.value) {
        Some(known) if known.machine == settings.machine => {}
        Some(known) => {
            let holder = known.machine;
            return Ok(Claimed::Refused(format!(
                "machine {holder} has the claim; it goes when the unit has stopped there, or that machine is lost"
            )));
        }
        None => {
            let text = format!("{claim} is not understood; delete it if no machine runs the unit");
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
pub(super) async fn release(client: &Client, settings: &Settings, unit: &UnitName) -> Result<(), Error> {
    let key = Keys::new(&settings.prefix).claim(unit);
    let Some(there) = client.get(&key).await?.kv else { return Ok(()) };
    if Claim::from_json(&there.value).is_none_or(|claim| claim.machine != settings.machine) {
        return Ok(());
    }
    let txn = Txn::new().when(Compare::mod_revision(&key, there.mod_revision)).then(Op::delete(&key));
    // One that changed in between is not this machine's any more: nobody else writes claims of this machine.
    client.txn(txn).await.map(drop)
}

/// Reads which units this machine has the claims of.
pub(super) async fn read(client: &Client, settings: &Settings) -> Result<Vec<UnitName>, Error> {
    let keys = Keys::new(&settings.prefix);
    let listing = client.list(&keys.claims()).await?;
    let ours = listing
        .kvs
        .iter()
        .filter(|kv| Claim::from_json(&kv.value).is_some_and(|claim| claim.machine == settings.machine));
    Ok(ours.filter_map(|kv| keys.unit_of(&kv.key)).collect())
}

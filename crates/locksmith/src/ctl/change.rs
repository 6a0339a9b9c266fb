//! `lock`, `unlock` and `set-max`: the semaphore as it is, without the order of a reboot.

use jiff::Timestamp;
use locksmith_core::semaphore::Slot;

use super::Context;
use super::failure::Failure;
use super::out::Format;
use crate::identity;

/// `lock [ID]`: for a machine that is worked on. The daemon of that machine leaves the slot alone until its next boot.
pub(super) async fn lock(cx: &Context, id: Option<String>) -> Result<(), Failure> {
    let id = named(cx, id)?;
    let slot = by_hand();
    let done = cx.store.change(|semaphore| semaphore.lock(&id, slot.clone())).await;
    done.map(drop).map_err(|err| Failure::change(err, Failure::Lock))
}

/// `unlock [ID]`. A machine that locksmith drained undrains itself when its daemon sees that the slot is gone.
pub(super) async fn unlock(cx: &Context, id: Option<String>) -> Result<(), Failure> {
    let id = named(cx, id)?;
    let done = cx.store.change(|semaphore| semaphore.take_away(&id)).await;
    done.map(drop).map_err(|err| Failure::change(err, Failure::Unlock))
}

/// `set-max N`.
pub(super) async fn set_max(cx: &Context, words: &[String]) -> Result<(), Failure> {
    let [word] = words else { return Err(Failure::NoMax) };
    let max: u32 = word.parse().map_err(|_| Failure::Max(word.clone()))?;
    let changed = cx.store.change(|semaphore| Ok(semaphore.set_max(max))).await;
    let changed = changed.map_err(|err| Failure::change(err, Failure::SetMax))?;
    let old = changed.before.max();
    match cx.out.format {
        Format::Text => cx.out.text(&format!("Old-Max: {old}\nMax: {max}\n")),
        Format::Json => cx.out.json(&serde_json::json!({ "old_max": old, "max": max })),
    }
}

/// What is known of a slot that no daemon takes.
pub(super) fn by_hand() -> Slot {
    let mut slot = Slot::default();
    slot.since.replace(Timestamp::now());
    slot
}

fn named(cx: &Context, id: Option<String>) -> Result<String, Failure> {
    match id {
        Some(id) => Ok(id),
        None => Ok(identity::machine(&cx.host)?),
    }
}

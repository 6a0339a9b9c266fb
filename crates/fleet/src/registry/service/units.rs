//! One unit: read, changed, removed.

use etcd_rpc::{Answer, Compare, KeyValue, OPS_MAX, Op, REQUEST_BYTES_MAX, Txn};
use fleet_core::model::{MachineId, State};
use fleet_core::name::UnitName;
use fleet_core::requirements::Requirements;
use fleet_core::unit_file::UnitFile;

use super::rows::unit_row;
use super::{RACE_PAUSE, RACES_MAX, Service, no_unit};
use crate::api::{Error, ErrorKind, Put, Unit, Wish};
use crate::registry::errors::{read_error, write_error};
use crate::registry::{
    EntryValue, PlaceValue, StateValue, Understood, UnitValue, from_json, to_json, understand_unit,
};

/// What the store has of one unit.
struct Found {
    /// `units/<unit>`.
    unit: Option<KeyValue>,
    /// `global/<unit>`.
    global: Option<KeyValue>,
    /// `place/<unit>`.
    place: Option<KeyValue>,
    /// Its entry, where the place can be read, and the report about it.
    there: Option<There>,
}

struct There {
    machine: MachineId,
    entry: Option<KeyValue>,
    state: Option<KeyValue>,
}

/// Whether a change was made.
enum Tried<T> {
    Done(T),
    /// Somebody changed what the change was made of.
    Race,
}

impl Found {
    /// Returns the unit's value.
    fn value(&self) -> Option<&KeyValue> {
        self.unit.as_ref().or(self.global.as_ref())
    }
}

impl Service {
    pub(super) async fn one_unit(&self, name: &UnitName) -> Result<Unit, Error> {
        let found = self.find(name).await?;
        let kv = found.value().ok_or_else(|| no_unit(name))?;
        let value = from_json::<UnitValue>(&kv.value).map_err(|err| {
            Error::new(ErrorKind::Internal, format!("{}: {err}; submit the unit anew", kv.key))
        })?;
        let there = found.there.as_ref().filter(|_| found.unit.is_some());
        let machine = there.filter(|there| there.entry.is_some()).map(|there| &there.machine);
        let state = there.and_then(|there| there.state.as_ref());
        let report = state.and_then(|kv| from_json::<StateValue>(&kv.value).ok()).map(|state| state.report);
        Ok(unit_row(name, value, found.unit.is_none(), machine, report.as_ref()))
    }

    pub(super) async fn wish_unit(&self, name: &UnitName, wish: &Wish) -> Result<Put, Error> {
        let content = wish.content.as_deref().map(|content| checked(name, content)).transpose()?;
        if name.is_template() && wish.desired.is_some_and(|desired| desired != State::Inactive) {
            let text = format!(
                "cannot activate template {name}: start an instance such as {}1.{}",
                name.stem(),
                name.suffix()
            );
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        for lost in 1..=RACES_MAX {
            if let Tried::Done(put) = self.try_wish(name, wish, content.as_ref()).await? {
                return Ok(put);
            }
            tokio::time::sleep(RACE_PAUSE * lost).await;
        }
        Err(raced(name))
    }

    pub(super) async fn destroy_unit(&self, name: &UnitName) -> Result<(), Error> {
        for lost in 1..=RACES_MAX {
            if let Tried::Done(()) = self.try_destroy(name).await? {
                return Ok(());
            }
            tokio::time::sleep(RACE_PAUSE * lost).await;
        }
        Err(raced(name))
    }

    async fn try_destroy(&self, name: &UnitName) -> Result<Tried<()>, Error> {
        let found = self.find(name).await?;
        if found.value().is_none() {
            return Err(no_unit(name));
        }
        let mut txn = self.unchanged(name, &found);
        txn = txn.then(Op::delete(&self.keys.unit(name))).then(Op::delete(&self.keys.global(name)));
        if found.place.is_some() {
            txn = txn.then(Op::delete(&self.keys.place(name)));
        }
        if let Some(there) = &found.there {
            txn = txn.then(Op::delete(&self.keys.entry(&there.machine, name)));
        }
        self.commit(txn, ()).await
    }

    async fn try_wish(
        &self,
        name: &UnitName,
        wish: &Wish,
        content: Option<&Checked<'_>>,
    ) -> Result<Tried<Put>, Error> {
        let found = self.find(name).await?;
        let old = found.value().map(|kv| understand_unit(name, kv));
        let put = match (&old, content) {
            (None, None) => {
                let text = format!("unit {name} does not exist and has no options: give its file");
                return Err(Error::new(ErrorKind::Conflict, text));
            }
            (Some(_), None) if wish.desired.is_none() => {
                let text = format!("nothing is wanted of unit {name}: give desiredState or options");
                return Err(Error::new(ErrorKind::Conflict, text));
            }
            (Some(Err(why)), None) => {
                let text = format!(
                    "unit {name} in the registry is not understood ({why}): submit it with --replace"
                );
                return Err(Error::new(ErrorKind::Internal, text));
            }
            (None, Some(_)) => Put::Created,
            (Some(Ok(old)), Some(content)) if old.known.hash == content.file.hash() => Put::Kept,
            (Some(_), Some(_)) => Put::Replaced,
            (Some(Ok(_)), None) => Put::Kept,
        };
        let old = old.and_then(Result::ok);
        let value = wanted(wish, content, old.as_ref(), put);
        if put == Put::Kept && old.as_ref().is_some_and(|old| old.value == value) {
            return Ok(Tried::Done(Put::Kept));
        }
        let is_global = match (put, content) {
            (Put::Kept, _) | (_, None) => found.unit.is_none(),
            (_, Some(content)) => content.requirements.global,
        };
        let (key, other) = match is_global {
            true => (self.keys.global(name), self.keys.unit(name)),
            false => (self.keys.unit(name), self.keys.global(name)),
        };
        let mut txn =
            self.unchanged(name, &found).then(Op::put(&key, to_json(&value))).then(Op::delete(&other));
        // The machine is told at once; a unit that has become a global one is taken from it by the engine.
        if let Some(There { machine, entry: Some(entry), .. }) = found.there.as_ref().filter(|_| !is_global)
            && let Ok(there) = from_json::<EntryValue>(&entry.value)
        {
            // What finished was the file before, or the wish before.
            let finished = there.finished && put == Put::Kept && there.desired == value.desired;
            let UnitValue { content, desired } = value;
            let entry = EntryValue { content, desired, finished, ..there };
            txn = txn.then(Op::put(&self.keys.entry(machine, name), to_json(&entry)));
        }
        self.commit(txn, put).await
    }

    async fn commit<T>(&self, txn: Txn, done: T) -> Result<Tried<T>, Error> {
        if txn.n_bytes() > REQUEST_BYTES_MAX || txn.n_ops() > OPS_MAX {
            let text = "the unit file is too long for the store: put large data into a file of its own";
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let outcome = self.client.txn(txn).await.map_err(|err| write_error(&err))?;
        Ok(if outcome.succeeded { Tried::Done(done) } else { Tried::Race })
    }

    /// Begins a transaction that holds only if nobody has changed what was found.
    fn unchanged(&self, name: &UnitName, found: &Found) -> Txn {
        let at = |kv: Option<&KeyValue>| kv.map_or(0, |kv| kv.mod_revision);
        let mut txn = Txn::new()
            .when(Compare::mod_revision(&self.keys.unit(name), at(found.unit.as_ref())))
            .when(Compare::mod_revision(&self.keys.global(name), at(found.global.as_ref())))
            .when(Compare::mod_revision(&self.keys.place(name), at(found.place.as_ref())));
        if let Some(there) = &found.there {
            let entry = self.keys.entry(&there.machine, name);
            txn = txn.when(Compare::mod_revision(&entry, at(there.entry.as_ref())));
        }
        txn
    }

    async fn find(&self, name: &UnitName) -> Result<Found, Error> {
        let keys = [self.keys.unit(name), self.keys.global(name), self.keys.place(name)];
        let [unit, global, place] = self.gets(keys).await?;
        let at = place.as_ref().and_then(|kv| from_json::<PlaceValue>(&kv.value).ok());
        let there = match at {
            None => None,
            Some(PlaceValue { machine }) => {
                let keys = [self.keys.entry(&machine, name), self.keys.state(&machine, name)];
                let [entry, state] = self.gets(keys).await?;
                Some(There { machine, entry, state })
            }
        };
        Ok(Found { unit, global, place, there })
    }

    /// Reads some keys at one revision.
    async fn gets<const N: usize>(&self, keys: [String; N]) -> Result<[Option<KeyValue>; N], Error> {
        let txn = keys.iter().fold(Txn::new(), |txn, key| txn.then(Op::get(key)));
        let outcome = self.client.txn(txn).await.map_err(|err| read_error(&err))?;
        let got = outcome.answers.into_iter().map(|answer| match answer {
            Answer::Got(kv) => kv,
            Answer::Put | Answer::Deleted(_) => None,
        });
        <[_; N]>::try_from(got.collect::<Vec<_>>())
            .map_err(|_| Error::new(ErrorKind::Internal, "etcd answered other keys than were asked for"))
    }
}

fn raced(name: &UnitName) -> Error {
    let text = format!("unit {name} is changed by others all the time: nothing was changed, try again");
    Error::new(ErrorKind::Conflict, text)
}

/// A file that may be stored.
struct Checked<'a> {
    text: &'a str,
    file: UnitFile,
    requirements: Requirements,
}

fn checked<'a>(name: &UnitName, text: &'a str) -> Result<Checked<'a>, Error> {
    let invalid = |why: String| Error::new(ErrorKind::Invalid, format!("{name}: {why}"));
    let file = UnitFile::parse(text).map_err(|err| invalid(err.to_string()))?;
    let (requirements, _) = Requirements::of(name, &file).map_err(|problems| {
        invalid(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    Ok(Checked { text, file, requirements })
}

fn wanted(wish: &Wish, content: Option<&Checked<'_>>, old: Option<&Understood>, put: Put) -> UnitValue {
    let kept = old.filter(|_| put == Put::Kept).map(|old| old.value.content.clone());
    let content = kept.or_else(|| content.map(|content| content.text.to_owned()));
    let desired = wish.desired.or_else(|| old.map(|old| old.value.desired));
    UnitValue { content: content.unwrap_or_default(), desired: desired.unwrap_or(State::Inactive) }
}

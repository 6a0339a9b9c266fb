//! `explain` and `rebalance`: what the engine thinks.

use super::Context;
use super::failure::{FAILED, Failure};
use super::flags::command::RebalanceArgs;
use super::local::Argument;
use super::out::Format;
use super::table::{Legend, render};
use super::view::{Length, MachineNames};
use crate::api::{Api, Explanation, Look, Move};

/// `explain`: one line for each unit, and a table of what speaks against each machine.
///
/// # Errors
/// When there is no unit, or fleetd does not say.
pub async fn units<A: Api>(cx: &Context<A>, units: &[String]) -> Result<(), Failure> {
    if units.is_empty() {
        return Err(Failure::NoUnits);
    }
    let arguments = Argument::parse_all(units)?;
    let names = MachineNames::of(&cx.fleet.machines().await?);
    let mut documents = Vec::new();
    let mut missing = false;
    for (idx, argument) in arguments.iter().enumerate() {
        let name = argument.name.as_str();
        let Some(why) = cx.fleet.explain(name).await? else {
            missing = true;
            cx.out.remark(&Failure::NoUnit(name.to_owned()).to_string());
            continue;
        };
        if cx.out.format == Format::Json {
            documents.push(document(name, &why));
            continue;
        }
        let gap = if idx > 0 { "\n" } else { "" };
        cx.out.text(&format!("{gap}{name}: {}\n{}", why.summary, table(&why, &names)))?;
    }
    if cx.out.format == Format::Json {
        cx.out.json(&documents)?;
    }
    if missing { Err(Failure::Said(FAILED)) } else { Ok(()) }
}

fn document(name: &str, why: &Explanation) -> serde_json::Value {
    let Explanation { summary, machines, lost } = why;
    serde_json::json!({ "unit": name, "summary": summary, "machines": machines, "lost": lost })
}

/// Returns the table of machines, empty where none is spoken about.
fn table(why: &Explanation, names: &MachineNames) -> String {
    if why.machines.is_empty() {
        return String::new();
    }
    let row = |(id, against): (&String, &Vec<String>)| {
        let verdict = if against.is_empty() { "eligible".to_owned() } else { against.join("; ") };
        vec![names.cell(id, Length::Short), verdict]
    };
    let rows: Vec<Vec<String>> = why.machines.iter().map(row).collect();
    render(&["machine", "verdict"], &rows, Legend::Shown)
}

/// `rebalance`: asks for moves, or only says which there would be.
///
/// # Errors
/// When fleetd refuses it.
pub async fn rebalance<A: Api>(cx: &Context<A>, args: &RebalanceArgs) -> Result<(), Failure> {
    let look = if args.dry_run { Look::Only } else { Look::AndDo };
    let moves = cx.fleet.rebalance(look).await?;
    if cx.out.format == Format::Json {
        return cx.out.json(&moves);
    }
    let names = MachineNames::of(&cx.fleet.machines().await?);
    cx.out.text(&lines(&moves, &names, look))
}

fn lines(moves: &[Move], names: &MachineNames, look: Look) -> String {
    if moves.is_empty() {
        return "Nothing to move\n".to_owned();
    }
    let verb = if look == Look::Only { "would move" } else { "moves" };
    let line = |one: &Move| {
        let [from, to] = [&one.from, &one.to].map(|id| names.cell(id, Length::Short));
        format!("Unit {} {verb} from {from} to {to}\n", one.unit)
    };
    moves.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use expect_test::expect;
    use fleet_core::utc::Utc;

    use super::*;
    use crate::api::Lost;

    #[test]
    fn what_speaks_against_each_machine_is_one_row() {
        let machines = BTreeMap::from([
            ("e1cd2bcd00".to_owned(), Vec::new()),
            ("f0000000aa".to_owned(), vec!["is draining".to_owned(), "has no region=us".to_owned()]),
        ]);
        let why = Explanation { summary: "on e1cd2bcd".to_owned(), machines, lost: None };
        expect![[r#"
            MACHINE		VERDICT
            e1cd2bcd...	eligible
            f0000000...	is draining; has no region=us
        "#]]
        .assert_eq(&table(&why, &MachineNames::default()));
        let none = Explanation { machines: BTreeMap::new(), ..why };
        assert_eq!(table(&none, &MachineNames::default()), "");
    }

    #[test]
    fn a_lost_machine_is_in_the_document() {
        let since = Utc::at(Duration::from_secs(100));
        let (machine_id, moves) = ("e1cd2bcd00".to_owned(), Some(since.plus(Duration::from_secs(30))));
        let lost = Some(Lost { machine_id, since, moves, mass: true });
        let why = Explanation { summary: "s".to_owned(), machines: BTreeMap::new(), lost };
        expect![[r#"{"lost":{"machineID":"e1cd2bcd00","mass":true,"moves":"1970-01-01T00:02:10Z","since":"1970-01-01T00:01:40Z"},"machines":{},"summary":"s","unit":"a.service"}"#]]
        .assert_eq(&document("a.service", &why).to_string());
        let why = Explanation { lost: None, ..why };
        assert_eq!(document("a.service", &why)["lost"], serde_json::Value::Null);
    }

    #[test]
    fn moves_say_whether_they_happen() {
        let one = Move { unit: "a.service".to_owned(), from: "m1".to_owned(), to: "m2".to_owned() };
        let names = MachineNames::default();
        let moves = [one];
        assert_eq!(lines(&moves, &names, Look::Only), "Unit a.service would move from m1 to m2\n");
        assert_eq!(lines(&moves, &names, Look::AndDo), "Unit a.service moves from m1 to m2\n");
        assert_eq!(lines(&[], &names, Look::Only), "Nothing to move\n");
    }
}

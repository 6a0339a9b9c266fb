//! `cargo xtask cluster status`: asks all machines at once and shows what they say.

use super::ask::{Program, Said, ask};
use super::enter::way_in;
use super::place::Place;
use super::state::{Machine, Power, State};
use super::table;
use super::view::{View, view};

/// Prints the table, or the document that it is made of.
pub fn run(place: &Place, json: bool) -> anyhow::Result<()> {
    let view = look(place, &State::of_running(place)?);
    if json {
        println!("{}", serde_json::to_string_pretty(&view)?);
    } else {
        print!("{}", table::render(&view));
    }
    Ok(())
}

/// Asks the machines.
pub fn look(place: &Place, state: &State) -> View {
    let said: Vec<_> = std::thread::scope(|scope| {
        let one = |machine| scope.spawn(move || said(place, state, machine));
        let asking: Vec<_> = state.machines.iter().map(one).collect();
        let panicked = |_| Err("asking it failed in this program".to_owned());
        asking.into_iter().map(|asking| asking.join().unwrap_or_else(panicked)).collect()
    });
    view(state, &said)
}

fn said(place: &Place, state: &State, machine: &Machine) -> Result<Said, String> {
    match &machine.power {
        Power::On(port) => ask(&way_in(place, state, machine.number, *port), &Program::STATUS),
        Power::Waiting => Err("it is not started yet".to_owned()),
        Power::Off(why) => Err(format!("it is off: {why}")),
    }
}

//! What goes wrong in a history, and when.

use crate::cast::Cast;
use crate::random::Rng;
use crate::world::TROUBLE;

/// One thing that happens. Numbers are machines and spans in milliseconds.
#[derive(Debug, Clone, Copy)]
pub enum Incident {
    User,
    KillAgent(usize, u64),
    KillEngine(usize, u64),
    DoomAgent(usize),
    PauseAgent(usize, u64),
    PauseEngine(usize, u64),
    PowerOff(usize),
    PowerOn(usize),
    Cut(usize, u64),
    Leaderless(u64),
    NewLeader,
    Lossy(u64),
    Compact,
    /// A machine is cut off, drained, and its lease revoked by hand before it is over.
    Revoke(usize),
    Wipe,
}

/// Draws what happens, the last first, and when the history ends.
pub fn draw(rng: &mut Rng, cast: &Cast) -> (Vec<(u64, Incident)>, u64) {
    let mut all = Vec::new();
    for _ in 0..rng.range(3, 12) {
        all.push((rng.range(0, TROUBLE - 5_000), Incident::User));
    }
    for _ in 0..rng.range(1, 7) {
        mishap(rng, cast, &mut all);
    }
    if rng.percent(10) {
        all.push((0, Incident::Lossy(10_000)));
    }
    // A machine that does not come back takes the longest to get over.
    let mut end = TROUBLE + 110_000;
    if rng.percent(30) {
        let dead = rng.index(cast.machines.len());
        let at = rng.range(10_000, TROUBLE);
        all.retain(|(_, incident)| !matches!(incident, Incident::PowerOn(n) if *n == dead));
        all.push((at, Incident::PowerOff(dead)));
        end = TROUBLE + 230_000;
    }
    if rng.percent(3) {
        all.push((TROUBLE - 10_000, Incident::Wipe));
        all.retain(|(_, incident)| !matches!(incident, Incident::PowerOn(_)));
    }
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    (all, end)
}

fn mishap(rng: &mut Rng, cast: &Cast, all: &mut Vec<(u64, Incident)>) {
    let at = rng.range(0, TROUBLE - 1_000);
    let span = match rng.index(5) {
        0 | 1 => rng.range(100, 8_000),
        2 | 3 => rng.range(8_000, 90_000),
        // About when a lost machine's units and claims go elsewhere.
        _ => rng.range(50_000, 75_000),
    }
    .min(TROUBLE - at);
    let machine = rng.index(cast.machines.len());
    let engine = rng.index(2);
    let incident = match rng.index(12) {
        0 => Incident::KillAgent(machine, span),
        1 => Incident::KillEngine(engine, span),
        2 => Incident::DoomAgent(machine),
        3 => Incident::PauseAgent(machine, span),
        4 => Incident::PauseEngine(engine, span),
        5 | 6 => {
            all.push((at + span, Incident::PowerOn(machine)));
            Incident::PowerOff(machine)
        }
        7 | 8 => Incident::Cut(machine, span),
        9 => {
            all.push((at + span, Incident::NewLeader));
            Incident::Leaderless(span)
        }
        10 => {
            all.push((at, Incident::Cut(machine, span)));
            Incident::Revoke(machine)
        }
        _ => match rng.percent(70) {
            true => Incident::Lossy(span),
            false => Incident::Compact,
        },
    };
    all.push((at, incident));
}

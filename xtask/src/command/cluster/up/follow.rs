//! Follows the machines of a cluster that was just started, each from a thread of its own.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::command::cluster::ask::{Program, ask};
use crate::command::cluster::enter::way_in;
use crate::command::cluster::place::Place;
use crate::command::cluster::plan::Plan;
use crate::command::cluster::progress::{Line, Stage, reason, sickness, stage};
use crate::command::cluster::state::{Power, State};
use crate::command::cluster::{config, down};
use crate::ctx::Ctx;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Between two questions to a machine that forms a cluster with others on the same cores.
const PAUSE: Duration = Duration::from_secs(3);
/// Longest wait for one login, after which it is seen whether anybody still waits.
const LOGIN: Duration = Duration::from_secs(20);
/// For each machine, and for all of them: emulated ones share the cores, and the first login comes after a minute
/// where one has them alone.
const EMULATED: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(900));
/// The same where the processor runs the guests.
const USUAL: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(300));
/// Lines of the supervisor's log that are shown where it names no error.
const TAIL_LINES: usize = 8;
/// What `log::report` begins with.
const ERROR: &str = "error: ";

/// What a thread says of its machine.
enum News {
    /// How far it is, and why no farther.
    Stage(Stage, Option<String>),
    /// It is off.
    Off(String),
    /// Its health checks failed, with what they said.
    Sick(String),
}

/// Waits until the machines are a cluster.
pub fn until_formed(
    ctx: &Ctx,
    place: &Place,
    plan: &Plan,
    mut supervisor: Child,
    start: Instant,
) -> anyhow::Result<()> {
    let end = start + patience(plan);
    let is_over = Arc::new(AtomicBool::new(false));
    let (tell, news) = channel();
    for number in 1..=plan.size {
        let (place, size, tell, is_over) = (place.clone(), plan.size, tell.clone(), Arc::clone(&is_over));
        // Nobody waits for it: one that is in the middle of a question ends with this process.
        std::thread::spawn(move || watch(&place, size, number, &is_over, &tell));
    }
    let formed = collect(ctx, place, plan, &mut supervisor, &news, start, end);
    is_over.store(true, Ordering::Relaxed);
    formed
}

fn patience(plan: &Plan) -> Duration {
    let (each, least) = if plan.emulated { EMULATED } else { USUAL };
    least.max(each * u32::from(plan.size))
}

/// Shows what the threads tell, until all machines are there or something speaks against it.
fn collect(
    ctx: &Ctx,
    place: &Place,
    plan: &Plan,
    supervisor: &mut Child,
    news: &Receiver<(u8, News)>,
    start: Instant,
    end: Instant,
) -> anyhow::Result<()> {
    let names: Vec<String> = (1..=plan.size).map(config::name).collect();
    let mut lines: Vec<Line<'_>> = names.iter().map(|name| Line::new(&ctx.log, name, start)).collect();
    let mut reached: BTreeMap<u8, (Stage, Option<String>)> =
        (1..=plan.size).map(|number| (number, (Stage::Waiting, None))).collect();
    let logs = place.dir().display();
    loop {
        match news.recv_timeout(LOOK) {
            Ok((number, News::Stage(stage, reason))) => {
                if let Some(line) = lines.get_mut(usize::from(number.saturating_sub(1))) {
                    line.show(stage);
                }
                reached.insert(number, (stage, reason));
            }
            Ok((number, News::Off(why))) => bail!(
                "{} is off before it is a member: {why}; see {logs}/{0}/console.log, then `cargo xtask cluster down`",
                config::name(number)
            ),
            Ok((number, News::Sick(why))) => bail!("{}", sick(number, &why)),
            // Threads end when their machine is there.
            Err(RecvTimeoutError::Disconnected) => sleep(LOOK),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if reached.values().all(|(stage, _)| *stage == Stage::Healthy) {
            lines.iter().for_each(Line::finish);
            return Ok(());
        }
        if ctx.cancel.is_set() {
            down::end(place).context("ending the cluster after Ctrl-C")?;
            bail!("interrupted: the cluster was ended");
        }
        if let Some(status) = supervisor.try_wait().context("looking at the supervisor")? {
            let path = place.supervisor_log();
            let log =
                std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            bail!("the supervisor ended with {status}: {}", last_words(&log));
        }
        if end <= Instant::now() {
            bail!(
                "{}; logs are in {logs}, `cargo xtask cluster down` ends it",
                late(&reached, start.elapsed())
            );
        }
    }
}

/// What to do with a machine whose health checks failed.
fn sick(number: u8, why: &str) -> String {
    format!(
        "{} failed its health checks: {why}; `cargo xtask cluster ssh {number}` enters it, `cargo xtask cluster down` ends \
         all machines",
        config::name(number)
    )
}

/// What is not there when time is up.
fn late(reached: &BTreeMap<u8, (Stage, Option<String>)>, after: Duration) -> String {
    let behind = reached.iter().filter(|(_, (stage, _))| *stage != Stage::Healthy);
    let words = behind.map(|(number, (stage, reason))| {
        let reason = reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{}: {stage}{reason}", config::name(*number))
    });
    format!("no cluster after {} s: {}", after.as_secs(), words.collect::<Vec<_>>().join("; "))
}

/// What the supervisor said last: its error, which may have several lines, else the end of its log.
fn last_words(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let error = lines.iter().rposition(|line| line.starts_with(ERROR));
    let from = error.unwrap_or(lines.len().saturating_sub(TAIL_LINES));
    let words = lines.get(from..).unwrap_or_default().join("\n");
    words.strip_prefix(ERROR).unwrap_or(&words).to_owned()
}

/// Tells how far a machine is until it is there or nobody waits any more.
fn watch(place: &Place, size: u8, number: u8, is_over: &AtomicBool, tell: &Sender<(u8, News)>) {
    // Whoever listened may have gone; then there is nobody to tell.
    let say = |news| drop(tell.send((number, news)));
    let go_on = || !is_over.load(Ordering::Relaxed);
    let Some(state) = powered(place, number, &go_on, &say) else { return };
    let Ok((_, port)) = state.machine_on(number) else { return };
    say(News::Stage(Stage::Power, None));
    let way_in = way_in(place, &state, number, port);
    loop {
        if !go_on() || is_off(place, number, &say) {
            return;
        }
        match way_in.wait(LOGIN) {
            Ok(()) => break,
            Err(err) => say(News::Stage(Stage::Power, Some(err.to_string()))),
        }
    }
    say(News::Stage(Stage::Login, None));
    // Without it each question is a handshake of its own, only slower.
    drop(way_in.share(0));
    while go_on() && !is_off(place, number, &say) {
        match ask(&way_in, &Program::FORMING) {
            Ok(said) => {
                let stage = stage(&said, size.into());
                say(News::Stage(stage, reason(&said)));
                if let Some(why) = sickness(&said) {
                    say(News::Sick(why.to_owned()));
                    return;
                }
                if stage == Stage::Healthy {
                    return;
                }
            }
            Err(why) => say(News::Stage(Stage::Login, Some(why))),
        }
        sleep(PAUSE);
    }
}

/// Waits until the machine is on.
fn powered(place: &Place, number: u8, go_on: &impl Fn() -> bool, say: &impl Fn(News)) -> Option<State> {
    while go_on() {
        // A state that cannot be read now is written anew; the supervisor's end shows by itself.
        if let Ok(Some(state)) = State::read(&place.state())
            && let Some(machine) = state.machines.iter().find(|machine| machine.number == number)
        {
            match &machine.power {
                Power::On(_) => return Some(state),
                Power::Off(why) => {
                    say(News::Off(why.clone()));
                    return None;
                }
                Power::Waiting => {}
            }
        }
        sleep(LOOK);
    }
    None
}

/// Tells that a machine is off, if it is.
fn is_off(place: &Place, number: u8, say: &impl Fn(News)) -> bool {
    let state = State::read(&place.state()).ok().flatten();
    let machine = state.and_then(|state| state.machines.into_iter().find(|machine| machine.number == number));
    match machine.map(|machine| machine.power) {
        Some(Power::Off(why)) => {
            say(News::Off(why));
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cluster::plan::made::plan;

    #[test]
    fn more_machines_have_more_time_and_emulated_ones_most() {
        let secs = |size, emulated| patience(&Plan { emulated, ..plan(size) }).as_secs();
        assert_eq!([1, 3, 9].map(|size| secs(size, true)), [900, 900, 2700]);
        assert_eq!([1, 3, 9].map(|size| secs(size, false)), [300, 300, 540]);
    }

    #[test]
    fn who_is_late_is_named_with_the_reason() {
        let reached = [
            (1, (Stage::Healthy, None)),
            (2, (Stage::Login, Some("etcdctl endpoint health: unhealthy".to_owned()))),
            (3, (Stage::Power, None)),
        ];
        assert_eq!(
            late(&reached.into(), Duration::from_secs(900)),
            "no cluster after 900 s: m2: core logs in (etcdctl endpoint health: unhealthy); m3: power is on"
        );
    }

    #[test]
    fn a_sick_machine_is_named_with_what_its_checks_said() {
        assert_eq!(
            sick(2, "sshd: off"),
            "m2 failed its health checks: sshd: off; `cargo xtask cluster ssh 2` enters it, `cargo xtask cluster down` \
             ends all machines"
        );
    }

    #[test]
    fn of_a_supervisor_that_ended_its_error_is_shown() {
        assert_eq!(
            last_words("update server: x\nerror: starting m1: QEMU ended: a\nb\n"),
            "starting m1: QEMU ended: a\nb"
        );
        let log: String = (1..=20).map(|n| format!("{n}\n")).collect();
        assert_eq!(last_words(&log), "13\n14\n15\n16\n17\n18\n19\n20");
        assert_eq!(last_words(""), "");
    }
}

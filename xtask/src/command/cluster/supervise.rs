//! The supervisor: starts everything that a cluster is, says what runs, and takes all of it with it when it ends.
//!
//! Every process is started from the first thread and dies with it (`vm::Sandbox`), so not even `kill -9` leaves one.

use std::time::Duration;

use anyhow::Context as _;
use vm::machine::Machine;
use vm::{Binds, Home, Sandbox, Vm};

use super::place::Place;
use super::plan::Plan;
use super::services::Services;
use super::state::{Power, State};
use super::terminal::Terminal;
use super::{config, oem};
use crate::command::run::handed_in::{METADATA, USER_DATA};
use crate::ctx::Ctx;

/// Smallest disk that a machine gets: root grows to it at first boot.
const DISK_MIN: u64 = 8 << 30;
/// Between two looks at what may have ended.
const LOOK: Duration = Duration::from_millis(500);
/// User data that says nothing: metadata is read beside user data only.
const NOTHING: &str = "#cloud-config\n";

/// A machine that was started.
struct Running {
    number: u8,
    // Ends before its folder is given back.
    vm: Option<Vm>,
    _home: Home,
}

/// Runs the cluster of the plan until it is to end.
pub fn run(ctx: &Ctx, place: &Place) -> anyhow::Result<()> {
    // `up` handed its own over as standard input; whoever calls this by hand takes it here.
    let _lock = place.lock()?;
    let terminal = Terminal::of_this_process();
    let lived = live(ctx, place, &terminal);
    let swept = place.sweep();
    lived.and(swept)
}

fn live(ctx: &Ctx, place: &Place, terminal: &Terminal) -> anyhow::Result<()> {
    let plan = Plan::read(&place.plan())?;
    let mut state = State::new(&plan, std::process::id());
    // From here on `down` finds this process.
    state.write(&place.state())?;
    let services = Services::start(place, &plan)?;
    ctx.log.line(&format!("update server: {}", services.updates));
    state.updates = Some(services.updates.clone());
    state.write(&place.state())?;
    oem::write(&place.base(), plan.oem(), &services.base)?;
    let user_data = user_data(place)?;
    let mut machines = Vec::new();
    for number in 1..=plan.size {
        if is_over(ctx, terminal) {
            return Ok(());
        }
        let running = start(place, &plan, &services, number, &user_data)
            .with_context(|| format!("starting {}", config::name(number)))?;
        if let Some(vm) = &running.vm {
            state.set(number, Power::On(vm.way_in().port()));
        }
        state.write(&place.state())?;
        ctx.log.line(&format!("{} is on", config::name(number)));
        machines.push(running);
    }
    while !is_over(ctx, terminal) {
        for machine in &mut machines {
            if let Some(end) = machine.ended()? {
                ctx.log.line(&format!("{} is off: {end}", config::name(machine.number)));
                state.set(machine.number, Power::Off(end));
                state.write(&place.state())?;
            }
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn is_over(ctx: &Ctx, terminal: &Terminal) -> bool {
    ctx.cancel.is_set() || terminal.is_closed()
}

/// What all machines are handed in.
fn user_data(place: &Place) -> anyhow::Result<Vec<u8>> {
    match std::fs::read(place.user_data()) {
        Ok(bytes) => Ok(bytes),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(NOTHING.into()),
        Err(err) => Err(err).with_context(|| format!("reading {}", place.user_data().display())),
    }
}

fn start(
    place: &Place,
    plan: &Plan,
    services: &Services,
    number: u8,
    user_data: &[u8],
) -> anyhow::Result<Running> {
    let image = place.base();
    let home = Home::claim(&Sandbox::new(&plan.tools), &place.machine(number))?;
    let len = std::fs::metadata(&image).with_context(|| format!("reading {}", image.display()))?.len();
    home.new_overlay(&image, len.max(DISK_MIN))?;
    let mut machine = Machine::new(format!("slipway-{}", config::name(number)), plan.accel());
    machine.cpus = plan.cpus;
    machine.memory_mib = plan.memory_mib;
    machine.private_mac = Some(config::card(number));
    machine.fw_cfg.insert(USER_DATA.to_owned(), user_data.to_vec());
    machine.fw_cfg.insert(METADATA.to_owned(), config::metadata(number).into());
    let binds = Binds { image: Some(&image), net: Some(services.network.dir()) };
    let vm = Vm::start_with(&home, &machine, binds)?;
    Ok(Running { number, vm: Some(vm), _home: home })
}

impl Running {
    /// Says once how the machine ended, if it has.
    fn ended(&mut self) -> anyhow::Result<Option<String>> {
        let Some(vm) = &mut self.vm else { return Ok(None) };
        let Some(status) = vm.ended()? else { return Ok(None) };
        self.vm = None;
        Ok(Some(if status.success() { "it was powered off".to_owned() } else { format!("QEMU: {status}") }))
    }
}

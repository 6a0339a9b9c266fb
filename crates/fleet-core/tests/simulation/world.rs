//! A history: machines, programs, users and mishaps, each in its turn, until all has come to rest.

use fleet_core::model::Hold;
use fleet_core::moment::Moment;

use crate::agents::Agent;
use crate::cast::Cast;
use crate::checks::{self, Copies};
use crate::engines::Engine;
use crate::ether::{Clock, Ether, NEVER};
use crate::flaw::Flaw;
use crate::host::Host;
use crate::incidents::{Incident, draw};
use crate::random::Rng;
use crate::store::{Author, Key, Op, Txn, Value};
use crate::users;

/// Until when things go wrong.
pub const TROUBLE: u64 = 120_000;

/// More steps than any history takes that comes to rest.
const STEPS: u64 = 100_000;

#[derive(Debug)]
pub struct World {
    pub ether: Ether,
    pub hosts: Vec<Host>,
    pub agents: Vec<Program<Agent>>,
    pub engines: Vec<Program<Engine>>,
    incidents: Vec<(u64, Incident)>,
    copies: Copies,
    well: Vec<Option<u64>>,
    end: u64,
}

/// A program, which may be stopped or gone.
#[derive(Debug)]
pub struct Program<T> {
    pub it: Option<T>,
    /// Until when it does not run, as by SIGSTOP.
    pub paused: u64,
    /// When the service manager starts it again.
    pub again: u64,
}

/// Who acts next.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Incident,
    Store,
    Late,
    Host(usize),
    Agent(usize),
    Engine(usize),
}

/// Runs one history and returns what it broke.
pub fn run(seed: u64, flaw: Option<Flaw>, loud: bool) -> Option<String> {
    let mut rng = Rng::new(seed);
    let cast = Cast::draw(&mut rng);
    let count = cast.machines.len();
    let (incidents, end) = draw(&mut rng, &cast);
    let clocks: Vec<Clock> = (0..count).map(|_| Clock::draw(&mut rng)).collect();
    let mut ether = Ether::new(rng, cast, flaw);
    // In some histories the engine hears of things much later than all others.
    ether.slowest = if ether.rng.percent(20) { 12_000 } else { 1_500 };
    ether.loud = loud;
    if loud {
        for role in &ether.cast.units {
            println!("{}: {:?} {:?}", role.name, role.life, role.contents);
        }
    }
    let mark = Txn { compares: vec![], ops: vec![Op::Put(Key::Marker, Value::Mark)], author: Author::Other };
    ether.apply(&mark);
    let mut hosts: Vec<Host> = clocks.iter().enumerate().map(|(n, clock)| Host::new(n, *clock)).collect();
    let agents = hosts.iter_mut().map(|host| Program::new(Agent::new(host.number, host, &ether))).collect();
    let engines = (0..2.min(count)).map(|n| Program::new(Engine::new(n, clocks[n], 0))).collect();
    let well = vec![None; count];
    let mut world = World { ether, hosts, agents, engines, incidents, copies: Copies::default(), well, end };
    users::begin(&mut world.ether);
    world.play();
    world.ether.broken
}

impl<T> Program<T> {
    fn new(it: T) -> Self {
        Self { it: Some(it), paused: 0, again: NEVER }
    }

    fn due(&self, ready: impl Fn(&T) -> u64) -> u64 {
        match &self.it {
            Some(it) => ready(it).max(self.paused),
            None => self.again,
        }
    }

    pub fn kill(&mut self, again: u64) {
        self.it = None;
        self.paused = 0;
        self.again = again;
    }
}

impl World {
    fn play(&mut self) {
        for step in 0_u64.. {
            if self.ether.broken.is_some() {
                break;
            }
            let (at, turn) = self.next();
            if step > STEPS {
                self.ether.breaks(|| format!("no rest: after {STEPS} steps it is the turn of {turn:?}"));
            }
            if at >= self.end {
                break;
            }
            self.ether.now = self.ether.now.max(at);
            self.take(turn);
            self.tell();
            self.judge();
        }
        self.ether.now = self.end;
        if self.ether.broken.is_none() && self.ether.wiped.is_none() {
            checks::settled(&self.hosts, &mut self.ether);
        }
    }

    fn next(&self) -> (u64, Turn) {
        let expiry = self.ether.store.next_expiry().max(self.ether.leaderless);
        let late = self.ether.late.iter().map(|(at, _)| *at).min().unwrap_or(NEVER);
        let incident = self.incidents.last().map_or(NEVER, |(at, _)| *at);
        let mut first = (incident, Turn::Incident);
        let mut offer = |at: u64, turn: Turn| {
            if at < first.0 {
                first = (at, turn);
            }
        };
        offer(expiry, Turn::Store);
        offer(late, Turn::Late);
        for host in self.hosts.iter().filter(|host| host.up) {
            let n = host.number;
            offer(host.due(&self.ether), Turn::Host(n));
            offer(self.agents[n].due(|agent| agent.ready), Turn::Agent(n));
        }
        for (n, engine) in self.engines.iter().enumerate() {
            if self.hosts[n].up {
                offer(engine.due(|engine| engine.ready), Turn::Engine(n));
            }
        }
        first
    }

    fn take(&mut self, turn: Turn) {
        let ether = &mut self.ether;
        match turn {
            Turn::Incident => {
                if let Some((_, incident)) = self.incidents.pop() {
                    ether.say(|| format!("incident: {incident:?}"));
                    self.happen(incident);
                }
            }
            Turn::Store => ether.store.expire(ether.now),
            Turn::Late => ether.arrive(),
            Turn::Host(n) => {
                self.hosts[n].act(ether);
                if let Some(agent) = &mut self.agents[n].it {
                    agent.ready = agent.ready.min(self.hosts[n].news);
                }
            }
            Turn::Agent(n) => {
                let program = &mut self.agents[n];
                match &mut program.it {
                    Some(agent) => {
                        agent.step(&mut self.hosts[n], ether);
                        if agent.dead {
                            program.kill(ether.now + 2_000);
                        }
                    }
                    None => *program = Program::new(Agent::new(n, &mut self.hosts[n], ether)),
                }
            }
            Turn::Engine(n) => {
                let program = &mut self.engines[n];
                match &mut program.it {
                    Some(engine) => engine.step(ether),
                    None => *program = Program::new(Engine::new(n, self.hosts[n].clock, ether.now)),
                }
            }
        }
    }

    /// Carries the news of the store to those that follow it, to each after a while of its own.
    fn tell(&mut self) {
        let ether = &mut self.ether;
        let news = ether.news();
        if news.is_empty() {
            return;
        }
        let open = |ether: &Ether, n: usize| ether.now.max(ether.cut[n]).max(ether.leaderless);
        for n in 0..self.agents.len() {
            if let Some(agent) = &mut self.agents[n].it
                && news.iter().any(|event| agent.concerns(event.key))
            {
                let long = if ether.rng.percent(10) { 1_500 } else { 50 };
                agent.wake = agent.wake.min(open(ether, n) + ether.rng.range(1, long));
                agent.ready = agent.ready.min(agent.wake);
            }
        }
        for n in 0..self.engines.len() {
            if let Some(engine) = &mut self.engines[n].it
                && engine.follows()
            {
                let long = if ether.rng.percent(10) { ether.slowest } else { 50 };
                engine.wake = engine.wake.min(open(ether, n) + ether.rng.range(1, long));
                engine.ready = engine.ready.min(engine.wake);
            }
        }
    }

    fn judge(&mut self) {
        for host in &self.hosts {
            let n = host.number;
            let program = &self.agents[n];
            let runs = program.it.is_some() && program.paused <= self.ether.now;
            let well = host.up && runs && self.ether.reaches(n) && self.ether.now >= self.ether.lossy;
            self.well[n] = match well {
                true => self.well[n].or(Some(self.ether.now)),
                false => None,
            };
        }
        self.copies.check(&self.hosts, &self.well, &mut self.ether);
    }

    fn happen(&mut self, incident: Incident) {
        let ether = &mut self.ether;
        let now = ether.now;
        match incident {
            Incident::User => users::act(ether),
            Incident::KillAgent(n, wait) => self.agents[n].kill(now + wait),
            Incident::KillEngine(n, wait) => self.engines[n].kill(now + wait),
            Incident::DoomAgent(n) => {
                if let Some(agent) = &mut self.agents[n].it {
                    agent.doomed = true;
                }
            }
            Incident::PauseAgent(n, wait) => self.agents[n].paused = now + wait,
            Incident::PauseEngine(n, wait) => self.engines[n].paused = now + wait,
            Incident::PowerOff(n) => {
                let host = &mut self.hosts[n];
                *host = Host { up: false, ..Host::new(n, host.clock) };
                self.agents[n].kill(NEVER);
                if let Some(engine) = self.engines.get_mut(n) {
                    engine.kill(NEVER);
                }
            }
            Incident::PowerOn(n) => {
                if !self.hosts[n].up {
                    self.hosts[n].up = true;
                    self.hosts[n].guard = Moment(0);
                    self.agents[n].again = now;
                    if let Some(engine) = self.engines.get_mut(n) {
                        engine.again = now;
                    }
                }
            }
            Incident::Cut(n, wait) => ether.cut[n] = now + wait,
            Incident::Leaderless(wait) => {
                // One that begins during another adds what it lasts longer.
                let from = now.max(ether.leaderless);
                ether.leaderless = ether.leaderless.max(now + wait);
                ether.leaderless_times.push((from, ether.leaderless));
            }
            Incident::NewLeader => ether.store.new_leader(now),
            Incident::Lossy(wait) => ether.lossy = now + wait,
            Incident::Compact => ether.store.compact(),
            Incident::Revoke(n) => {
                let drain = Op::Put(Key::Hold(n), Value::Hold(Hold::Draining));
                ether.apply(&Txn { compares: vec![], ops: vec![drain], author: Author::Other });
                if let Some(lease) = ether.store.get(Key::Machine(n)).map(|kv| kv.lease) {
                    ether.store.revoke(lease);
                }
            }
            Incident::Wipe => {
                let keys: Vec<Key> = ether.store.kvs.keys().copied().collect();
                let ops = keys.into_iter().map(Op::Delete).collect();
                ether.apply(&Txn { compares: vec![], ops, author: Author::Other });
                ether.wiped = Some(now);
            }
        }
    }
}

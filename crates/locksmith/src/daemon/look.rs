//! What is seen of the machine before each step, without asking any other.

use jiff::{Timestamp, ZonedDateTime};
use locksmith_core::order::{Reading, Seen, Settings, Wish};
use locksmith_core::strategy::{Mode, Strategy};
use locksmith_core::versions::Local;
use locksmith_core::window::Standing;

use super::{Daemon, now};
use crate::journal::{Journal, Level};
use crate::{sessions, settings, store, wish};

/// What is remembered of looking: the strategy as it was last good, and what was said of what is wrong.
#[derive(Debug)]
pub(super) struct Watch {
    strategy: Strategy,
    troubles: [Option<String>; 3],
}

/// What may be wrong, each said once.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Strategy,
    Agent,
    Sessions,
}

impl Watch {
    pub(super) fn new(strategy: Strategy) -> Self {
        Self { strategy, troubles: [const { None }; 3] }
    }

    /// Says what is wrong when that is news.
    fn note(&mut self, trouble: Trouble, text: Option<String>, journal: Journal) {
        let place = match trouble {
            Trouble::Strategy => 0,
            Trouble::Agent => 1,
            Trouble::Sessions => 2,
        };
        let Some(known) = self.troubles.get_mut(place) else { return };
        if *known != text {
            if let Some(text) = &text {
                journal.say(Level::Warning, text);
            }
            *known = text;
        }
    }
}

impl Daemon {
    /// Looks at the machine.
    pub(super) async fn look(&mut self, reading: Option<Reading>) -> (Seen, Strategy) {
        let strategy = self.strategy();
        let wish = wish::look(&self.host);
        let local = self.local().await;
        let is_wanted = wish == Wish::Reboot || local.waiting.is_some();
        let terminals = if is_wanted { self.terminals().await } else { 0 };
        let mode = self.mode(strategy, wish, is_wanted).await;
        self.ear.attend(mode, &self.store);
        let zoned = ZonedDateTime::now();
        let seen = Seen {
            now: Timestamp::now(),
            moment: now(),
            mode,
            me: self.as_me(),
            local,
            wish,
            standing: self.pace.window.as_ref().map_or(Standing::Always, |window| window.at(&zoned)),
            terminals,
            last: self.last.clone(),
            reading,
            has_news: self.ear.take_news(),
            settings: Settings { drain_timeout: self.pace.drain_timeout, break_stale: self.pace.break_stale },
            dice: store::dice(),
        };
        (seen, strategy)
    }

    /// Settings that became wrong leave those of before.
    fn strategy(&mut self) -> Strategy {
        let trouble = match settings::strategy(&self.host) {
            Ok(strategy) => {
                self.watch.strategy = strategy;
                None
            }
            Err(err) => Some(format!("the strategy stays {}: {err:#}", self.watch.strategy)),
        };
        self.watch.note(Trouble::Strategy, trouble, self.journal);
        self.watch.strategy
    }

    /// Without the update agent nothing is known to wait and nothing to be blessed, so nothing is done.
    async fn local(&mut self) -> Local {
        let (local, trouble) = match self.agent.look(&self.host, self.me.version.as_ref()).await {
            Ok(local) => (local, None),
            Err(err) => (Local::default(), Some(format!("the update agent does not answer: {err}"))),
        };
        self.watch.note(Trouble::Agent, trouble, self.journal);
        local
    }

    /// Nobody is waited for of whom nobody knows.
    async fn terminals(&mut self) -> usize {
        let (terminals, trouble) = match sessions::terminals(&self.host).await {
            Ok(terminals) => (terminals.len(), None),
            Err(err) => (0, Some(format!("it is not known who is logged in: {err}"))),
        };
        self.watch.note(Trouble::Sessions, trouble, self.journal);
        terminals
    }

    /// What the strategy comes to. An operator's wish takes a slot whatever it is, and so does what is left of one.
    async fn mode(&mut self, strategy: Strategy, wish: Wish, is_wanted: bool) -> Mode {
        if wish == Wish::Reboot {
            return Mode::Locked;
        }
        let is_taken = self.taken.is_marked(&self.host);
        match strategy {
            Strategy::EtcdLock => Mode::Locked,
            Strategy::Reboot if is_taken => Mode::Locked,
            Strategy::Reboot => Mode::Alone,
            Strategy::BestEffort | Strategy::Off => {
                let etcd = self.ground.look(&self.store, is_taken, is_wanted).await;
                strategy.mode(etcd)
            }
        }
    }
}

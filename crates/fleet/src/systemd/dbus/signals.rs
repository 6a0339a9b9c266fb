//! The signals of systemd that may mean that a unit's state is another one.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_stream::StreamExt as _;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream};

use super::{INTERFACE, OBJECT, SERVICE};

/// Interface whose properties are a unit's states.
const UNIT_INTERFACE: &str = "org.freedesktop.systemd1.Unit";
/// Below it are the objects of units.
const UNITS: &str = "/org/freedesktop/systemd1/unit";
/// Signals of the manager after which states may differ. `UnitNew` and `UnitRemoved` are not among them: whoever asks
/// about a unit, with `systemctl status` too, has it loaded for a moment, and its state is what it was.
const OF_MANAGER: [&str; 2] = ["JobRemoved", "Reloading"];

/// Streams of those signals on one connection.
pub(super) struct Heard {
    streams: Vec<MessageStream>,
    owner: Option<MessageStream>,
}

impl Heard {
    /// Begins to hear.
    pub(super) async fn of(connection: &Connection) -> zbus::Result<Self> {
        let mut streams = Vec::new();
        for member in OF_MANAGER {
            let rule = MatchRule::builder().msg_type(Type::Signal).sender(SERVICE).path(OBJECT);
            let rule = rule.interface(INTERFACE).member(member).build()?;
            streams.push(MessageStream::for_match_rule(rule.to_owned(), connection, None).await?);
        }
        let rule = MatchRule::builder().msg_type(Type::Signal).sender(SERVICE).path_namespace(UNITS);
        let rule = rule.interface("org.freedesktop.DBus.Properties").member("PropertiesChanged");
        let rule = rule.add_arg(UNIT_INTERFACE).build()?;
        streams.push(MessageStream::for_match_rule(rule.to_owned(), connection, None).await?);
        let owner = if connection.is_bus() {
            let rule = MatchRule::builder().msg_type(Type::Signal).sender("org.freedesktop.DBus");
            let rule = rule.interface("org.freedesktop.DBus").member("NameOwnerChanged");
            let rule = rule.add_arg(SERVICE).build()?;
            Some(MessageStream::for_match_rule(rule.to_owned(), connection, None).await?)
        } else {
            None
        };
        Ok(Self { streams, owner })
    }

    /// Says `changes` at each signal. Ends with the connection, or when systemd's name has another owner, who knows of
    /// no subscription.
    pub(super) async fn tell(self, connection: Connection, changes: Arc<Notify>) {
        let Self { streams, owner } = self;
        let mut all = tokio_stream::StreamMap::new();
        for (idx, stream) in streams.into_iter().enumerate() {
            all.insert(idx, stream);
        }
        // Without a bus there is nobody who could take the name.
        let renamed = async {
            match owner {
                Some(mut stream) => drop(stream.next().await),
                None => std::future::pending().await,
            }
        };
        tokio::pin!(renamed);
        loop {
            tokio::select! {
                heard = all.next() => match heard {
                    Some(_) => changes.notify_one(),
                    None => break,
                },
                () = &mut renamed => break,
                () = connection.closed() => break,
            }
        }
        changes.notify_one();
    }
}

//! A connection to systemd that is subscribed to its signals.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use zbus::Connection;
use zbus::connection::Builder;

use super::{Bus, INTERFACE, OBJECT, SERVICE, signals};

/// A connection, and the task that hears its signals, which ends with it.
#[derive(Debug)]
pub(super) struct Live {
    connection: Connection,
    hearing: JoinHandle<()>,
}

impl Live {
    /// Connects, subscribes, and says `changes` at each signal that may mean a change, and when the connection ends.
    pub(super) async fn connect(bus: &Bus, changes: &Arc<Notify>) -> zbus::Result<Self> {
        let builder = match bus {
            Bus::System => Builder::system(),
            Bus::User => Builder::session(),
            Bus::Peer(path) => Builder::unix_stream(UnixStream::connect(path)?).p2p(),
        };
        let connection = builder.build().await?;
        // Before the subscription, so that nothing is missed between the two.
        let heard = signals::Heard::of(&connection).await?;
        let destination = connection.is_bus().then_some(SERVICE);
        match connection.call_method(destination, OBJECT, Some(INTERFACE), "Subscribe", &()).await {
            // Another part of this process has done it on the same connection.
            Err(err) if refusal(&err).is_some_and(|(name, _)| name.ends_with(".AlreadySubscribed")) => {}
            answer => drop(answer?),
        }
        let hearing = tokio::spawn(heard.tell(connection.clone(), Arc::clone(changes)));
        // What happened while nobody listened is found by looking.
        changes.notify_one();
        Ok(Self { connection, hearing })
    }

    /// The connection.
    pub(super) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Whether it broke, or whoever owned systemd's name is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.connection.is_closed() || self.hearing.is_finished()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

/// Returns the name and the words of an error that the other side answered; `None` if it did not answer.
pub(super) fn refusal(err: &zbus::Error) -> Option<(String, String)> {
    match err {
        zbus::Error::MethodError(name, message, _) => {
            Some((name.to_string(), message.clone().unwrap_or_default()))
        }
        zbus::Error::FDO(err) => match err.as_ref() {
            // These say that nobody is there who could have refused.
            zbus::fdo::Error::ZBus(_)
            | zbus::fdo::Error::ServiceUnknown(_)
            | zbus::fdo::Error::NameHasNoOwner(_)
            | zbus::fdo::Error::NoReply(_)
            | zbus::fdo::Error::NoServer(_)
            | zbus::fdo::Error::Disconnected(_) => None,
            err => {
                let message = zbus::DBusError::description(err).unwrap_or_default().to_owned();
                Some((zbus::DBusError::name(err).to_string(), message))
            }
        },
        _ => None,
    }
}

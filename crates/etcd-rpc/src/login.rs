//! The token that stands for user and password, and its renewal.

use std::fmt;

use tokio::sync::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::generated::AuthenticateRequest;
use crate::generated::auth_client::AuthClient;

/// A user's login, shared by all requests.
pub(crate) struct Login {
    user: Option<(String, String)>,
    held: Mutex<Held>,
}

/// What a request goes out with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pass {
    /// The token; there is none without a user, or where etcd asks for none.
    pub(crate) token: Option<MetadataValue<Ascii>>,
    turn: u64,
}

#[derive(Debug, Default)]
struct Held {
    pass: Option<Pass>,
    turn: u64,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Login {
    pub(crate) fn new(user: Option<(String, String)>) -> Self {
        Self { user, held: Mutex::default() }
    }

    /// The user's name.
    pub(crate) fn name(&self) -> Option<&str> {
        self.user.as_ref().map(|(name, _password)| name.as_str())
    }

    /// The pass that is held, or a new one that `channel` gives. Others wait meanwhile, so that a thousand requests
    /// log in once: a password costs etcd a tenth of a second.
    pub(crate) async fn pass(&self, channel: &Channel) -> Result<Pass, Status> {
        let Some((name, password)) = &self.user else {
            return Ok(Pass::default());
        };
        let mut held = self.held.lock().await;
        if let Some(pass) = &held.pass {
            return Ok(pass.clone());
        }
        let request = AuthenticateRequest { name: name.clone(), password: password.clone() };
        let answer = AuthClient::new(channel.clone()).authenticate(Request::new(request)).await;
        let token = match answer {
            Ok(answer) => {
                let token = MetadataValue::try_from(answer.into_inner().token);
                let mut token = token
                    .map_err(|err| Status::internal(format!("etcd's token cannot be sent back: {err}")))?;
                token.set_sensitive(true);
                Some(token)
            }
            // A user may be configured before authentication is switched on.
            Err(status) if status.message().contains("authentication is not enabled") => None,
            Err(status) => return Err(status),
        };
        held.turn += 1;
        let pass = Pass { token, turn: held.turn };
        held.pass = Some(pass.clone());
        Ok(pass)
    }

    /// Forgets a pass that etcd no longer takes, unless another request has renewed it already.
    pub(crate) async fn forget(&self, stale: &Pass) {
        let mut held = self.held.lock().await;
        if held.pass.as_ref().is_some_and(|pass| pass.turn == stale.turn) {
            held.pass = None;
        }
    }
}

/// Whether etcd refused name or password.
pub(crate) fn is_refused(status: &Status) -> bool {
    status.code() == Code::InvalidArgument && status.message().contains("authentication failed")
}

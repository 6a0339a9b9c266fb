//! The task behind a follower: it asks what its course wants, and tells what comes of it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::calls::{ANSWER_BYTES_MAX, Answered, Effect};
use crate::client::Client;
use crate::error::{Error, classify};
use crate::generated::watch_client::WatchClient;
use crate::generated::watch_request::RequestUnion;
use crate::generated::{WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse};
use crate::keys::Span;

use super::Event;
use super::course::{Course, Heard, Want};
use super::pauses::Pauses;

/// The reason for the end of a watch that etcd gives none for.
const STREAM_ENDED: &str = "etcd ended the watch without a word";

/// How often etcd is asked how far the watch is, in timeouts of requests. A prefix that nobody writes to would otherwise
/// ask for history that is compacted, and be listed again, after each lost connection.
const PROGRESS_TIMEOUTS: u32 = 20;
/// A watch that was heard for so long has worked: what ends it is a first failure.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// An open watch.
struct Watch {
    requests: mpsc::Sender<WatchRequest>,
    responses: Streaming<WatchResponse>,
    first: WatchResponse,
}

/// Why a watch is over.
enum End {
    /// The caller has gone.
    Unheard,
    /// The prefix has to be listed again.
    Gap,
    /// It broke.
    Broken(Error),
}

/// Follows until nobody listens any more.
pub(super) async fn run(client: Client, prefix: String, tell: mpsc::Sender<Event>) {
    let mut course = Course::default();
    let mut pauses = Pauses::new();
    loop {
        let end = match course.want() {
            Want::List => match client.list_at(&prefix).await {
                Ok((kvs, position)) => {
                    if tell.send(course.listed(kvs, position)).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(error) => End::Broken(error),
            },
            Want::Watch { from } => {
                let begin = Instant::now();
                let end = watch(&client, &prefix, from, &mut course, &tell).await;
                if begin.elapsed() >= SETTLED_AFTER {
                    pauses.reset();
                }
                end
            }
        };
        match end {
            End::Unheard => return,
            // Listing costs etcd something: a store that is compacted all the time is listed with pauses.
            End::Gap => course.gap(),
            End::Broken(error) => {
                if let Some(event) = course.failed(error)
                    && tell.send(event).await.is_err()
                {
                    return;
                }
            }
        }
        tokio::select! {
            () = sleep(pauses.next()) => {}
            () = tell.closed() => return,
        }
    }
}

/// Watches until something ends it.
async fn watch(
    client: &Client,
    prefix: &str,
    from: i64,
    course: &mut Course,
    tell: &mpsc::Sender<Event>,
) -> End {
    let Answered { answer, place } = match open(client, prefix, from).await {
        Ok(opened) => opened,
        Err(error) => return broken(error),
    };
    let Watch { requests, mut responses, first } = answer;
    let calls = &client.calls;
    let mut heard = course.opened(&first);
    let progress_every = calls.timeout() * PROGRESS_TIMEOUTS;
    let mut progress = interval_at(Instant::now() + progress_every, progress_every);
    progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        match heard {
            Heard::Nothing => {}
            Heard::Event(event) => {
                if tell.send(event).await.is_err() {
                    return End::Unheard;
                }
            }
            Heard::Gap => return End::Gap,
            Heard::Ended(reason) => {
                let status = Status::unavailable(reason);
                return broken(classify(calls.url(place), calls.timeout(), &status));
            }
        }
        heard = tokio::select! {
            response = responses.message() => match response {
                Ok(Some(response)) => course.heard(response),
                Ok(None) => Heard::Ended(STREAM_ENDED.to_owned()),
                Err(status) => {
                    calls.note_failed(place);
                    return broken(classify(calls.url(place), calls.timeout(), &status));
                }
            },
            _ = progress.tick() => {
                let request = RequestUnion::ProgressRequest(WatchProgressRequest {});
                // A request that finds no room is one of many; the stream itself says when it is broken.
                let _ = requests.try_send(WatchRequest { request_union: Some(request) });
                Heard::Nothing
            }
            () = tell.closed() => return End::Unheard,
        };
    }
}

/// What a failed watch leads to: history that is gone, or too much to be told at once, is overcome by a list.
fn broken(error: Error) -> End {
    match error {
        Error::Compacted | Error::AnswerTooLarge { .. } => End::Gap,
        error => End::Broken(error),
    }
}

/// Opens a watch and waits for etcd's word that it is open.
async fn open(client: &Client, prefix: &str, from: i64) -> Result<Answered<Watch>, Error> {
    let Span { from: key, end: range_end } = Span::prefix(prefix.as_bytes());
    let create =
        WatchCreateRequest { key, range_end, start_revision: from, progress_notify: true, fragment: true };
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let send = async |channel: Channel, request: Request<WatchRequest>| {
        // Room for the request that opens the watch and one for its progress.
        let (requests, sent) = mpsc::channel(2);
        let (metadata, extensions, message) = request.into_parts();
        let is_sent = requests.try_send(message).is_ok();
        debug_assert!(is_sent, "a new channel has room");
        let request = Request::from_parts(metadata, extensions, ReceiverStream::new(sent));
        let mut client = WatchClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        let mut responses = client.watch(request).await?.into_inner();
        let first = responses.message().await?;
        let first = first.ok_or_else(|| Status::unavailable(STREAM_ENDED))?;
        if first.canceled && first.compact_revision == 0 {
            // As a failure, so that a stale login is renewed.
            return Err(Status::unavailable(first.cancel_reason));
        }
        Ok(Response::new(Watch { requests, responses, first }))
    };
    client.calls.call(Effect::Stream, request, send).await
}

//! `serve`: looks again and again, and serves what was seen last.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::answer::Shown;
use crate::ask;
use crate::events::{Ring, events};
use crate::flags::ServeArgs;
use crate::known::Known;
use crate::listen::{listen, warning};
use crate::page;
use crate::server::{self, Talk};
use crate::view::{View, view};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot listen.
pub fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("starting the runtime")?.block_on(serve(args))
}

async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let listener = listen(args.listen).await?;
    let address = listener.local_addr().context("reading the address")?;
    if let Some(warning) = warning(address) {
        eprintln!("warning: {warning}");
    }
    eprintln!("serving http://{address}/");
    let first = shown(&view(&Known::default(), Timestamp::now()), args.every);
    let (show, showing) = watch::channel(Arc::new(first));
    let looking = tokio::spawn(look(show, args.every));
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("serving http://{address}/"))]);
    let stop = async {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tell(&[NotifyState::Stopping]);
    };
    let talk = if args.debug { Talk::Debug } else { Talk::Quiet };
    server::serve(listener, showing, talk, stop).await;
    // Programs that are asked at this moment end with the task.
    looking.abort();
    Ok(())
}

/// Tells the service manager, if there is one. Failing to is not an error of ours: it notices what it misses.
fn tell(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}

/// Looks until it is aborted.
async fn look(show: watch::Sender<Arc<Shown>>, every: Duration) {
    let (mut known, mut ring, mut before) = (Known::default(), Ring::default(), None::<View>);
    loop {
        let answers = ask::look(&known).await;
        let now = Timestamp::now();
        known.take(answers, now);
        let mut after = view(&known, now);
        ring.add(events(before.as_ref(), &after));
        after.events = ring.newest_first();
        show.send_replace(Arc::new(shown(&after, every)));
        before = Some(after);
        tokio::time::sleep(every).await;
    }
}

fn shown(view: &View, every: Duration) -> Shown {
    // Texts, numbers and lists: nothing of it can fail.
    let document = serde_json::to_string_pretty(view).unwrap_or_default();
    Shown { page: page::render(view, every.as_secs()), document: format!("{document}\n") }
}

//! `show`: looks once and prints.

use std::io::{self, Write as _};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use crate::ask;
use crate::events::{Ring, events};
use crate::flags::ShowArgs;
use crate::known::Known;
use crate::table;
use crate::view::{View, view};

/// Prints the tables, or the document that they are made of.
///
/// # Errors
/// When no program answers, or nothing can be printed.
pub fn run(args: &ShowArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let view = runtime.context("starting the runtime")?.block_on(look());
    let text =
        if args.json { format!("{}\n", serde_json::to_string_pretty(&view)?) } else { table::render(&view) };
    print(&text)?;
    if view.heard.is_empty() {
        bail!(
            "no program answered: is this a machine of a cluster, and does `etcdctl endpoint health` say so?"
        );
    }
    Ok(())
}

async fn look() -> View {
    let mut known = Known::default();
    let answers = ask::look(&known).await;
    let now = Timestamp::now();
    known.take(answers, now);
    let mut view = view(&known, now);
    let mut ring = Ring::default();
    ring.add(events(None, &view));
    view.events = ring.newest_first();
    view
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever read the output has had enough of it, as `head` has.
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("printing"),
    }
}

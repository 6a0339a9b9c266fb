//! `cargo xtask serve`: serves a folder that `publish` filled, until Ctrl-C.

use std::net::SocketAddr;
use std::time::Duration;

use file_server::Server;

use crate::ctx::Ctx;
use crate::flags;

/// How often Ctrl-C is asked for.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves, with one line for each request.
pub fn run(ctx: &Ctx, args: &flags::Serve) -> anyhow::Result<()> {
    let address = SocketAddr::new(args.address, args.port);
    let log = ctx.log.clone();
    let server = Server::start(&args.dir, address, move |line| log.line(line))?;
    // Alone on standard output, for scripts that take a free port.
    println!("{}", server.url());
    ctx.log.line(&format!("serving {}; Ctrl-C ends it", args.dir.display()));
    while !ctx.cancel.is_set() {
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

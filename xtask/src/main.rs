//! `cargo xtask`: builds, runs and checks the Slipway image. `cargo xtask help` lists the commands.

mod accounts;
mod cache;
mod cargo;
mod checks;
mod command;
mod contents;
mod crates;
mod ctx;
mod definition;
mod disk_format;
mod durable;
mod elf;
mod firmware;
mod flags;
mod git;
mod hash;
mod identity;
mod inputs;
mod judges;
mod keyed;
mod keys;
mod licences;
mod lock;
mod log;
mod manifest;
mod mirror;
mod needed;
mod ownership;
mod payload_file;
mod pipeline;
mod release;
mod reproduce;
mod sbom;
mod seeded;
mod segments;
mod site;
mod stage;
#[cfg(test)]
mod tidy;
mod time;
mod tools;
mod tree;
mod words;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let flags = flags::Xtask::parse();
    match run(flags) {
        Ok(code) => code,
        Err(err) => {
            log::report(&err);
            ExitCode::FAILURE
        }
    }
}

fn run(flags: flags::Xtask) -> anyhow::Result<ExitCode> {
    let ctx = ctx::Ctx::new(flags.verbose)?;
    match flags.command {
        flags::Command::BuildImage(args) => command::build_image::run(&ctx, &args),
        flags::Command::Lock(args) => command::lock::run(&ctx, &args),
        flags::Command::Run(args) => command::run::run(&ctx, &args),
        // Without a device the exit code is that of wrong usage.
        flags::Command::Flash(args) => return command::flash::run(&ctx, &args),
        flags::Command::Report(args) => command::report::run(&ctx, &args),
        flags::Command::Keys(args) => command::keys::run(&ctx, &args),
        flags::Command::Payload(args) => command::payload::run(&ctx, &args),
        flags::Command::Publish(args) => command::publish::run(&ctx, &args),
        flags::Command::Release(args) => command::release::run(&ctx, &args),
        flags::Command::VerifyRelease(args) => command::verify_release::run(&ctx, &args),
        flags::Command::Serve(args) => command::serve::run(&ctx, &args),
        // Scripts tell errors and warnings apart by the exit code.
        flags::Command::ValidateConfig(args) => return command::validate_config::run(&args),
        flags::Command::Docs(args) => command::docs::run(&ctx, &args),
        flags::Command::Compare(args) => command::compare::run(&ctx, &args),
        flags::Command::Ci(args) => command::ci::run(&ctx, &args),
        flags::Command::Test(args) => command::test::run(&ctx, &args),
        flags::Command::Soak(args) => command::soak::run(&ctx, &args),
        flags::Command::Bench(args) => command::bench::run(&ctx, &args),
        // The exit code is that of the command in the machine.
        flags::Command::Cluster(args) => return command::cluster::run(&ctx, &args),
        flags::Command::Ssh(args) => return command::ssh::run(&ctx, &args),
    }
    .map(|()| ExitCode::SUCCESS)
}

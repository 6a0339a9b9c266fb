//! A child process and what it uses, from proc(5).

use std::fs;
use std::process::{self, Command};

/// The engine's process; it ends when this is dropped.
pub struct Child(process::Child);

impl Child {
    /// Starts this program as the engine.
    pub fn engine(url: &str) -> Self {
        Self(Command::new(std::env::current_exe().unwrap()).args(["engine", url]).spawn().unwrap())
    }

    /// Most memory that it had, in MiB.
    pub fn memory_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// Processor time that it used, in seconds.
    pub fn cpu_secs(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        // The name in parentheses may have anything in it; user and system time are fields 14 and 15.
        let fields = stat.rsplit_once(')').unwrap().1;
        let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().unwrap());
        ticks.sum::<f64>() / f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).unwrap())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

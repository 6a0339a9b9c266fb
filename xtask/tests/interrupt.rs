//! Ctrl-C in every stage of a build: it ends soon, leaves no process and nothing half-made, and the next
//! run goes on.
//!
//! Makes a whole image from the packages in the cache, so it runs with `--ignored` only.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a build may take to end after Ctrl-C.
const END: Duration = Duration::from_secs(5);
/// Longest wait for a stage to begin: the ones before it run in that time.
const BEGIN: Duration = Duration::from_secs(900);

/// What shows that a stage has begun, below the target folder, in the order of the pipeline.
const BEGUN: [(&str, &str); 8] = [
    ("agents", "stages/agents/work"),
    ("owners", "stages/owners/work"),
    ("rootfs", "stages/rootfs/work/mkosi/workspace"),
    ("modules", "stages/modules/work/usr"),
    ("usr", "stages/usr/work/usr.erofs"),
    ("initrd", "stages/initrd/work/initrd"),
    ("uki", "stages/uki/work"),
    ("disk", "stages/disk/work/raw"),
];

#[test]
#[ignore = "makes a whole image: minutes, and the locked packages in the cache"]
fn an_interrupted_build_leaves_nothing_half_made_and_goes_on() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interrupt");
    let _ = fs::remove_dir_all(&target);
    fs::create_dir_all(&target).unwrap();

    interrupt(&target, "tools", |target| {
        files(&target.join("tools"), 1).iter().any(|path| path.ends_with(".tmp"))
    });
    for (idx, (stage, path)) in BEGUN.iter().enumerate() {
        // Every other one as `kill` does it, which reaches this one process.
        let whole_group = idx % 2 == 0;
        interrupt_as(&target, stage, whole_group, |target| target.join(path).exists());
        if *stage == "agents" {
            take_agents(&target);
        }
    }
    interrupt(&target, "manifest", |target| {
        files(&target.join("image"), 1).iter().any(|path| path.contains(".tmp-"))
    });

    let (mut child, log) = start(&target);
    let status = child.wait().unwrap();
    assert!(status.success(), "{}", fs::read_to_string(log).unwrap());
    for suffix in ["raw", "efi", "usr.erofs", "usr.verity", "manifest.json"] {
        let found = files(&target.join("image"), 1).iter().any(|path| path.ends_with(suffix));
        assert!(found, "the build made no {suffix}");
    }
    fs::remove_dir_all(&target).unwrap();
}

/// Takes our programs of the checkout's own build, if there is one: that cargo goes on after an interruption is its
/// authors' to show, and compiling everything again would take longer than all else here.
fn take_agents(target: &Path) {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../stages/agents");
    let of_test = target.join("stages/agents");
    fs::create_dir_all(&of_test).unwrap();
    for output in files(&made, 1).iter().filter(|path| is_output(path)) {
        let status = Command::new("cp").args(["-a", output]).arg(&of_test).status().unwrap();
        assert!(status.success(), "copying {output}: {status}");
    }
}

#[track_caller]
fn interrupt(target: &Path, stage: &str, begun: impl Fn(&Path) -> bool) {
    interrupt_as(target, stage, true, begun);
}

/// Starts a build, waits until the stage has begun, interrupts, and looks around.
#[track_caller]
fn interrupt_as(target: &Path, stage: &str, whole_group: bool, begun: impl Fn(&Path) -> bool) {
    let (mut child, log) = start(target);
    let deadline = Instant::now() + BEGIN;
    while !begun(target) {
        let ended = child.try_wait().unwrap();
        let words = || fs::read_to_string(&log).unwrap();
        assert!(ended.is_none(), "{stage}: the build ended before the stage was seen: {}", words());
        assert!(Instant::now() < deadline, "{stage}: the stage did not begin: {}", words());
        std::thread::sleep(Duration::from_millis(2));
    }
    let pid = Pid::from_child(&child);
    let sent = Instant::now();
    if whole_group {
        kill_process_group(pid, Signal::INT).unwrap();
    } else {
        kill_process(pid, Signal::TERM).unwrap();
    }
    let status = wait(&mut child, END).unwrap_or_else(|| {
        let _ = child.kill();
        panic!("{stage}: still there {} s after Ctrl-C", END.as_secs());
    });
    println!("{stage}: ended {:.2} s after the signal", sent.elapsed().as_secs_f64());
    let words = fs::read_to_string(&log).unwrap();
    assert!(!status.success(), "{stage}: {words}");
    let clear = "interrupted; run the same command again to go on";
    assert!(words.lines().last().is_some_and(|line| line.contains(clear)), "{stage}: {words}");
    assert_eq!(half_made(target), Vec::<String>::new(), "{stage}");
    // The kernel takes a moment to end what lives in a process namespace, more on a busy machine.
    let deadline = Instant::now() + END;
    while !processes(target).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(processes(target), Vec::<String>::new(), "{stage}");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&*target.to_string_lossy()), "{stage}: {mounts}");
}

/// The build in a process group of its own, as a shell starts it, and the file with its words.
fn start(target: &Path) -> (Child, PathBuf) {
    let log = target.join("words");
    let words = File::create(&log).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["build-image", "--locked", "--offline"])
        .env("CARGO_TARGET_DIR", target)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(words)
        .spawn()
        .unwrap();
    (child, log)
}

fn wait(child: &mut Child, at_most: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + at_most;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// What is neither a finished output of a stage nor a finished file.
fn half_made(target: &Path) -> Vec<String> {
    let stages = files(&target.join("stages"), 2)
        .into_iter()
        .filter(|path| !is_output(path) && Path::new(path).parent() != Some(&target.join("stages")));
    let tools = files(&target.join("tools"), 1).into_iter().filter(|path| path.ends_with(".tmp"));
    let image = files(&target.join("image"), 1).into_iter().filter(|path| {
        // A file of the image is whole or not there; only the last stage makes any.
        path.contains(".tmp-") || path.ends_with(".manifest.json")
    });
    stages.chain(tools).chain(image).collect()
}

/// Whether it is the finished output of a stage, which is named by its key.
fn is_output(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Paths down to `depth`.
fn files(dir: &Path, depth: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        found.push(path.to_string_lossy().into_owned());
        if depth > 1 && path.is_dir() {
            found.extend(files(&path, depth - 1));
        }
    }
    found
}

/// Command lines that name the folder.
fn processes(target: &Path) -> Vec<String> {
    let wanted = target.to_string_lossy();
    let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let bytes = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    });
    lines.filter(|line| line.contains(&*wanted)).collect()
}

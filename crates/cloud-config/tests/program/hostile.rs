//! Files that nobody means well with: one clear error, nothing applied, bounded time and memory.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::machine::Machine;

/// Generous: other programs share the processor of tests.
const TIME_MAX: Duration = Duration::from_secs(60);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Applies a file that must be refused with one error about its own lines, and leave no trace.
#[track_caller]
fn check_refused(config: impl AsRef<[u8]>, expected: &str) {
    let machine = Machine::new();
    let begin = Instant::now();
    let called = machine.apply(config, &[]);
    assert!(begin.elapsed() < TIME_MAX);
    assert_eq!((called.code, machine.paths()), (1, vec![]), "{}", called.stderr);
    let errors: Vec<_> = called.stderr.lines().filter(|line| line.contains(": error: ")).collect();
    assert!(errors.len() == 1 && errors[0].contains(expected), "{expected}\n{}", called.stderr);
}

fn config(text: &str) -> String {
    format!("#cloud-config\n{text}\n")
}

#[test]
fn long_files_and_bombs_are_refused() {
    check_refused(config(&"# x\n".repeat(10 << 18)), ":1:1: error: longer than 1024 KiB");
    check_refused(gzip(config(&" ".repeat(40 << 20)).as_bytes()), ":1:1: error: longer than 1024 KiB");
    let bomb = STANDARD.encode(gzip(&vec![0; 64 << 20]));
    let file = format!("write_files: [{{path: /etc/a, encoding: gz+b64, content: {bomb}}}]");
    check_refused(config(&file), "the files unpack to more than 32 MiB");
    let many = format!(
        "- {{path: /etc/a, encoding: gz+b64, content: {}}}\n",
        STANDARD.encode(gzip(&vec![0; 9 << 20]))
    );
    check_refused(
        config(&format!("write_files:\n{}", many.repeat(4))),
        "the files unpack to more than 32 MiB",
    );
}

#[test]
fn as_many_items_as_fit_into_a_file_take_no_time() {
    check_refused(
        config(&format!("ssh_authorized_keys: [{}]", "a,".repeat(400_000))),
        "more than 4096 items",
    );
    let lines: String = (0..80_000).map(|n| format!("k{n}:\n")).collect();
    check_refused(config(&lines), "more than 4096 items");
    let units: String =
        (0..4000).map(|n| format!("  - {{name: a{n}.service, command: start, enable: yes}}\n")).collect();
    let machine = Machine::new();
    let begin = Instant::now();
    machine.applied(config(&format!("coreos:\n  units:\n{units}")), &[]);
    let keys =
        format!("ssh_authorized_keys: [\"{}\"]", (0..80_000).map(|n| format!("{n}\\n")).collect::<String>());
    machine.applied(config(&keys), &[]);
    assert!(begin.elapsed() < TIME_MAX);
}

#[test]
fn deep_files_and_aliases_of_aliases_are_refused() {
    check_refused(config(&format!("a: {}", "[".repeat(300_000))), "error: ");
    check_refused(config(&format!("a: {}{}", "{a: ".repeat(1000), "}".repeat(1000))), "error: ");
    check_refused(config(&(0..1000).map(|n| format!("{}-\n", " ".repeat(n))).collect::<String>()), "error: ");
    let mut bomb = "a: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for n in 1..12 {
        bomb.push_str(&format!("b{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(",")));
    }
    check_refused(config(&bomb), "too many nodes, or aliases that stand for too much");
}

#[test]
fn what_is_no_yaml_or_no_text_is_refused() {
    check_refused(config("users:\n\t- name: a"), "not valid YAML");
    check_refused(b"#cloud-config\nhostname: \xff\xfe\n", ":2:11: error: not UTF-8 text");
    check_refused(b"\xff\xfe#\0c\0", ":1:1: error: not UTF-8 text");
    check_refused(
        config("hostname: a\nhostname: b"),
        ":3:1: error: key \"hostname\" is there already, in line 2",
    );
    check_refused(
        config("write_files: []\nwrite-files: []"),
        ":3:1: error: key \"write-files\" is there already",
    );
    check_refused(config("hostname: !!python/name:os.system x"), "error: ");
    check_refused(config("users: [&a {name: a, groups: *a}]"), "error: ");
}

#[test]
fn names_and_paths_that_lead_elsewhere_are_refused() {
    for (text, expected) in [
        ("write_files: [{path: /etc/../../x}]", "file path has `..`"),
        ("write_files: [{path: etc/x}]", "file path is not absolute"),
        ("write_files: [{path: \"/etc/a\\0b\"}]", "file path has control characters"),
        (
            "write_files: [{path: /etc/a, encoding: b64, content: \"a b!\"}]",
            "content cannot be decoded as \"b64\"",
        ),
        ("coreos: {units: [{name: ../../../x.service, content: y}]}", "name of the unit"),
        ("coreos: {units: [{name: a/b.service, content: y}]}", "name of the unit has a slash"),
        (
            "coreos: {units: [{name: a.service, drop_ins: [{name: ../a.conf, content: y}]}]}",
            "name of the drop-in",
        ),
        ("users: [{name: ../x}]", "name of the user"),
        ("users: [{name: a, homedir: /home/../etc}]", "homedir is no absolute path"),
        ("timezone: ../../etc/shadow", "timezone is no name"),
    ] {
        check_refused(config(text), expected);
    }
}

#[test]
fn a_mark_and_windows_line_ends_are_read_as_if_they_were_not_there() {
    let machine = Machine::new();
    machine.applied(
        "\u{feff}#cloud-config\r\nwrite_files:\r\n- path: /etc/a\r\n  content: |\r\n    x\r\n    y\r\n",
        &[],
    );
    assert_eq!(machine.text("/etc/a"), "x\ny\n");
    machine.applied(gzip(b"#cloud-config\nhostname: a\n"), &[]);
    assert_eq!(machine.text("/etc/hostname"), "a\n");
}

#[test]
fn links_planted_in_the_way_lead_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    for folder in ["/etc/systemd", "/home/core", "/var/lib"] {
        fs::create_dir_all(machine.path(folder)).unwrap();
    }
    for link in ["/etc/x", "/etc/systemd/system", "/home/core/.ssh", "/etc/.y.cloudinit", "/etc/hostname"] {
        symlink(outside.path(), machine.path(link)).unwrap();
    }
    let text = config(
        "hostname: a\nssh_authorized_keys: [k]\nwrite_files: [{path: /etc/x/a, content: b}, {path: /etc/y, content: c}]\n\
         coreos: {units: [{name: a.service, content: x}]}",
    );
    let called = machine.apply(&text, &[]);
    assert_eq!(called.code, 1, "{called:?}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{}", called.stdout);
    assert!(called.stdout.contains("writing /etc/x/a: /etc/x is a link or no folder"), "{}", called.stdout);
    assert_eq!((machine.text("/etc/y").as_str(), machine.text("/etc/hostname").as_str()), ("c", "a\n"));
}

#[test]
fn the_folder_of_the_state_is_not_followed_either() {
    let outside = tempfile::tempdir().unwrap();
    for link in ["/var", "/run"] {
        let machine = Machine::new();
        symlink(outside.path(), machine.path(link)).unwrap();
        let called = machine.apply(config("hostname: a"), &[]);
        assert_eq!(called.code, 1, "{called:?}");
        assert!(called.stderr.contains(&format!("{link} is a link or no folder")), "{}", called.stderr);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}

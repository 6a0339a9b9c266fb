//! One virtual machine as data, and the QEMU command line that it stands for.
//!
//! All paths are those inside the sandbox: the machine's own folder is [`DIR`] there, so that the command does
//! not depend on where the repository lies and socket names stay short (a Unix socket's name has at most 107
//! bytes).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::accel::Accel;
use crate::fw_cfg;

mod devices;

use devices::add_device;
pub use devices::{Bus, Card, Hba, Screen, Watchdog};

/// The host, as a guest sees it through its first network card: QEMU's user network leads there to the host's loopback.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The machine's folder, as QEMU sees it.
pub const DIR: &str = "/vm";
/// Name of the log of a recorded machine's writes, in its folder; its format is that of dm-log-writes.
pub const WRITES_LOG: &str = "writes.log";
/// The folder of the private network's socket, as QEMU sees it.
pub const NET_DIR: &str = "/net";
/// Name of that socket in its folder.
pub const SWITCH_SOCKET: &str = "switch.sock";
/// Name under which QEMU knows the network of the first card.
pub const NETWORK: &str = "user";

/// A further disk: a raw file in the machine's folder, which can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FurtherDisk {
    /// Name of the file.
    pub file: String,
    /// Where it is plugged in.
    pub bus: Bus,
}

impl FurtherDisk {
    /// Name in QEMU of the device of the `n`-th one, counted from 0.
    pub fn id(n: usize) -> String {
        format!("further{n}")
    }
}

/// How the disk file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// QEMU's copy-on-write format.
    Qcow2,
    /// The bytes of the disk.
    Raw,
    /// VMware's sparse file.
    Vmdk,
    /// Virtual PC's file of fixed length: the bytes of the disk, and a footer.
    Vpc,
}

/// Where the first serial port goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serial {
    /// The terminal of the caller, with QEMU's monitor behind Ctrl-A c.
    Terminal,
    /// `console.log` and, for input, `console.sock` in the machine's folder.
    Log,
}

/// A loopback port of the host that leads to a TCP port of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Port on 127.0.0.1; 0 lets the kernel choose.
    pub host_port: u16,
    /// Port of the guest.
    pub guest_port: u16,
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A kernel that QEMU starts itself: the files [`Direct::KERNEL`] and [`Direct::INITRD`] in the machine's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direct {
    /// Its whole command line.
    pub cmdline: String,
}

impl Direct {
    /// Name of the kernel.
    pub const KERNEL: &str = "kernel";
    /// Name of the initrd.
    pub const INITRD: &str = "initrd";
}

/// Everything that QEMU's command line says.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Name in QEMU's process title and window.
    pub name: String,
    /// What runs the guest's instructions.
    pub accel: Accel,
    /// Number of processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Layout of `disk` in the machine's folder.
    pub disk_format: DiskFormat,
    /// Where the disk is plugged in.
    pub bus: Bus,
    /// A further controller, with a disk of its own.
    pub hba: Option<Hba>,
    /// The network card that leads to the host.
    pub card: Card,
    /// What a person could look at.
    pub screen: Screen,
    /// Every write and flush of the guest goes into [`WRITES_LOG`] too.
    pub record_writes: bool,
    /// Where the first serial port goes.
    pub serial: Serial,
    /// The watchdog device.
    pub watchdog: Watchdog,
    /// systemd credentials (systemd.system-credentials(7)), by name. Each is an argument of QEMU, in base64; what may
    /// be larger than 96 KiB or secret goes into `fw_cfg`.
    pub credentials: BTreeMap<String, Vec<u8>>,
    /// Added to the kernel command line by systemd-stub(7).
    pub cmdline_extra: Vec<String>,
    /// Disks that the firmware starts only when it cannot start the first.
    pub further_disks: Vec<FurtherDisk>,
    /// Raw files in the machine's folder, by name, that are further drives which nobody can write.
    pub drives: Vec<String>,
    /// A kernel that is started without firmware of UEFI and without a boot loader.
    pub direct: Option<Direct>,
    /// Firmware configuration entries below `opt/`, by name: any bytes.
    pub fw_cfg: BTreeMap<String, Vec<u8>>,
    /// Address of the network card that leads to the host and, through it, outside.
    pub user_mac: Mac,
    /// Ports of the host that lead to the guest.
    pub forwards: Vec<Forward>,
    /// Address of a second network card, on the private network.
    pub private_mac: Option<Mac>,
    /// A reboot of the guest ends QEMU.
    pub exit_on_reboot: bool,
    /// Seconds after which the machine is killed, whatever it does.
    pub lifetime_secs: Option<u64>,
}

impl Machine {
    /// Returns a machine with two processors, 2 GiB of memory, a logged console and SSH forwarded.
    pub fn new(name: impl Into<String>, accel: Accel) -> Self {
        Self {
            name: name.into(),
            accel,
            cpus: 2,
            memory_mib: 2048,
            disk_format: DiskFormat::Qcow2,
            bus: Bus::default(),
            hba: None,
            card: Card::default(),
            screen: Screen::default(),
            record_writes: false,
            serial: Serial::Log,
            watchdog: Watchdog::default(),
            credentials: BTreeMap::new(),
            cmdline_extra: Vec::new(),
            further_disks: Vec::new(),
            drives: Vec::new(),
            direct: None,
            fw_cfg: BTreeMap::new(),
            user_mac: Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
            forwards: vec![Forward { host_port: 0, guest_port: 22 }],
            private_mac: None,
            exit_on_reboot: false,
            lifetime_secs: None,
        }
    }

    /// Returns the program and its arguments. The guest does not run before QMP's `cont`.
    pub fn argv(&self) -> Vec<String> {
        let mut argv = Vec::new();
        if let Some(secs) = self.lifetime_secs {
            let secs = secs.to_string();
            argv.extend(["timeout", "--foreground", "--signal=KILL", &secs].map(str::to_owned));
        }
        argv.push("qemu-system-x86_64".to_owned());
        let mut add = |flag: &str, value: String| argv.extend([flag.to_owned(), value]);
        let name = escape(&self.name);
        add("-name", format!("{name},process={name}"));
        add("-machine", "q35,usb=off,vmport=off".to_owned());
        let (accel, cpu) = match self.accel {
            Accel::Kvm => ("kvm", "host"),
            // Five-level paging only makes the emulated page walk longer.
            Accel::Tcg => ("tcg,thread=multi,tb-size=512", "max,la57=off"),
        };
        add("-accel", accel.to_owned());
        add("-cpu", cpu.to_owned());
        add("-smp", self.cpus.to_string());
        add("-m", format!("{}M", self.memory_mib));
        add("-display", "none".to_owned());
        if let Some(Direct { cmdline }) = &self.direct {
            // UEFI's firmware would look at the disk before, and repair it.
            add("-kernel", format!("{DIR}/{}", Direct::KERNEL));
            add("-initrd", format!("{DIR}/{}", Direct::INITRD));
            add("-append", cmdline.clone());
        } else {
            // The vars template has 4M in its name for the size of both halves together.
            let code = "/usr/share/OVMF/OVMF_CODE_4M.fd";
            add("-drive", format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"));
            add("-drive", format!("if=pflash,unit=1,format=raw,file={DIR}/vars.fd"));
        }
        self.add_disk(&mut add);
        match self.serial {
            Serial::Terminal => add("-serial", "mon:stdio".to_owned()),
            Serial::Log => {
                let socket = format!("path={DIR}/console.sock,server=on,wait=off");
                add("-chardev", format!("socket,id=console,{socket},logfile={DIR}/console.log"));
                add("-serial", "chardev:console".to_owned());
            }
        }
        add("-qmp", format!("unix:{DIR}/qmp.sock,server=on,wait=off"));
        add("-device", "virtio-rng-pci".to_owned());
        self.add_network(&mut add);
        match self.watchdog {
            Watchdog::I6300Esb => add("-device", "i6300esb".to_owned()),
            Watchdog::Itco => add("-global", "ICH9-LPC.noreboot=off".to_owned()),
        }
        if let Some(hba) = self.hba {
            let size = Hba::DISK_BYTES;
            add("-blockdev", format!("driver=null-co,size={size},read-zeroes=on,node-name=beside"));
            add("-device", format!("{},id=beside", hba.device()));
            add("-device", "scsi-hd,drive=beside,bus=beside.0".to_owned());
        }
        match self.screen {
            Screen::None => {}
            Screen::Vga => add("-device", "VGA".to_owned()),
        }
        // Behind all else, whose places stay the same.
        for (at, name) in self.drives.iter().enumerate() {
            let file = format!("{DIR}/{}", escape(name));
            add("-drive", format!("if=none,id=drive{at},format=raw,readonly=on,file={file}"));
            add("-device", format!("virtio-blk-pci,drive=drive{at}"));
        }
        for (n, disk) in self.further_disks.iter().enumerate() {
            let (id, file) = (FurtherDisk::id(n), format!("{DIR}/{}", escape(&disk.file)));
            let drive = format!("further-drive{n}");
            add("-drive", format!("if=none,id={drive},format=raw,file={file},{CACHE}"));
            add_device(&mut add, disk.bus, &drive, &format!(",id={id},bootindex={}", n + 1));
        }
        let reboot = if self.exit_on_reboot { "shutdown" } else { "reset" };
        add("-action", format!("watchdog=reset,reboot={reboot}"));
        for text in self.smbios_strings() {
            add("-smbios", format!("type=11,value={}", escape(&text)));
        }
        fw_cfg::arguments(&self.fw_cfg).for_each(|argument| add("-fw_cfg", argument));
        argv.extend(["-nodefaults", "-no-user-config", "-S"].map(str::to_owned));
        argv
    }

    fn add_disk(&self, add: &mut impl FnMut(&str, String)) {
        let format = match self.disk_format {
            DiskFormat::Qcow2 => "qcow2",
            DiskFormat::Raw => "raw",
            DiskFormat::Vmdk => "vmdk",
            DiskFormat::Vpc => "vpc",
        };
        if self.record_writes {
            add("-blockdev", recorded(format));
        } else {
            add("-drive", format!("if=none,id=disk,format={format},file={DIR}/disk,{CACHE}"));
        }
        // Requests that virtio merges have more parts than a write of the host takes together with the log's own. Zeros
        // that the guest has the disk write in place of a discard, gigabytes of them, would all be in the log.
        let apart = if self.record_writes && self.bus == Bus::VirtioBlk {
            ",request-merging=off,write-zeroes=off"
        } else {
            ""
        };
        // A kernel that is started directly comes first by itself.
        let first = if self.direct.is_none() { ",bootindex=0" } else { "" };
        add_device(add, self.bus, "disk", &format!("{first}{apart}"));
    }

    fn add_network(&self, add: &mut impl FnMut(&str, String)) {
        let mut user = format!("user,id={NETWORK}");
        for Forward { host_port, guest_port } in &self.forwards {
            user.push_str(&format!(",hostfwd=tcp:127.0.0.1:{host_port}-:{guest_port}"));
        }
        add("-netdev", user);
        // Without an option ROM the firmware does not spend seconds on network boot.
        add("-device", format!("{},netdev={NETWORK},mac={},romfile=", self.card.device(), self.user_mac));
        if let Some(mac) = self.private_mac {
            let socket =
                format!("server=off,addr.type=unix,addr.path={NET_DIR}/{SWITCH_SOCKET},reconnect-ms=500");
            add("-netdev", format!("stream,id=private,{socket}"));
            add("-device", format!("virtio-net-pci,netdev=private,mac={mac},romfile="));
        }
    }

    /// The SMBIOS type 11 strings that systemd's PID 1 and stub read.
    fn smbios_strings(&self) -> Vec<String> {
        let mut strings = Vec::new();
        for (name, value) in &self.credentials {
            strings.push(format!("io.systemd.credential.binary:{name}={}", BASE64.encode(value)));
        }
        if !self.cmdline_extra.is_empty() {
            strings.push(format!("io.systemd.stub.kernel-cmdline-extra={}", self.cmdline_extra.join(" ")));
        }
        strings
    }
}

/// Flushes reach the host's page cache only: a killed QEMU loses nothing, and tests need no more.
const CACHE: &str = "cache=unsafe,discard=unmap,detect-zeroes=unmap";

/// The block device `disk` whose writes are logged. Without flushes of its own below the log a flush waits for
/// nothing, so no write comes between a flush and its place in the log; discards change nothing, because what
/// they leave is not recorded.
fn recorded(format: &str) -> String {
    let cache = serde_json::json!({ "no-flush": true });
    let file = |name: &str| serde_json::json!({ "driver": "file", "filename": format!("{DIR}/{name}"), "cache": cache });
    serde_json::json!({
        "driver": "blklogwrites",
        "node-name": "disk",
        "file": { "driver": format, "file": file("disk"), "cache": cache, "discard": "ignore" },
        "log": file(WRITES_LOG),
        "log-sector-size": 512,
    })
    .to_string()
}

/// QEMU's option parser takes a doubled comma for one.
pub(crate) fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(machine: &Machine, expect: Expect) {
        expect.assert_eq(&machine.argv().join(" ").replace(" -", "\n-"));
    }

    #[test]
    fn a_recorded_machine_logs_the_writes_of_the_same_disk() {
        let machine = Machine { record_writes: true, ..Machine::new("one", Accel::Tcg) };
        let argv = machine.argv();
        let at = argv.iter().position(|arg| arg == "-blockdev").unwrap();
        expect![[r#"{"driver":"blklogwrites","file":{"cache":{"no-flush":true},"discard":"ignore","driver":"qcow2","file":{"cache":{"no-flush":true},"driver":"file","filename":"/vm/disk"}},"log":{"cache":{"no-flush":true},"driver":"file","filename":"/vm/writes.log"},"log-sector-size":512,"node-name":"disk"}"#]]
        .assert_eq(&argv[at + 1]);
        assert!(argv.contains(
            &"virtio-blk-pci,drive=disk,bootindex=0,request-merging=off,write-zeroes=off".to_owned()
        ));
        assert!(!argv.join(" ").contains("-drive if=none"));
    }

    #[test]
    fn the_default_machine_has_a_logged_console_and_ssh() {
        check(
            &Machine::new("one", Accel::Tcg),
            expect![[r#"
            qemu-system-x86_64
            -name one,process=one
            -machine q35,usb=off,vmport=off
            -accel tcg,thread=multi,tb-size=512
            -cpu max,la57=off
            -smp 2
            -m 2048M
            -display none
            -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd
            -drive if=pflash,unit=1,format=raw,file=/vm/vars.fd
            -drive if=none,id=disk,format=qcow2,file=/vm/disk,cache=unsafe,discard=unmap,detect-zeroes=unmap
            -device virtio-blk-pci,drive=disk,bootindex=0
            -chardev socket,id=console,path=/vm/console.sock,server=on,wait=off,logfile=/vm/console.log
            -serial chardev:console
            -qmp unix:/vm/qmp.sock,server=on,wait=off
            -device virtio-rng-pci
            -netdev user,id=user,hostfwd=tcp:127.0.0.1:0-:22
            -device virtio-net-pci,netdev=user,mac=52:54:00:12:34:56,romfile=
            -device i6300esb
            -action watchdog=reset,reboot=reset
            -nodefaults
            -no-user-config
            -S"#]],
        );
    }

    #[test]
    fn a_kernel_is_started_without_firmware_that_looks_at_the_disk() {
        let direct = Some(Direct { cmdline: "a=1,2 b".to_owned() });
        let argv = Machine { direct, ..Machine::new("one", Accel::Tcg) }.argv();
        let at = argv.iter().position(|arg| arg == "-kernel").unwrap();
        assert_eq!(
            argv[at..at + 6],
            ["-kernel", "/vm/kernel", "-initrd", "/vm/initrd", "-append", "a=1,2 b"]
        );
        assert!(!argv.join(" ").contains("pflash") && !argv.join(" ").contains("bootindex"));
    }

    #[test]
    fn a_stick_comes_first_and_a_disk_with_large_blocks_after_it() {
        let further = |file: &str, bus| FurtherDisk { file: file.to_owned(), bus };
        let further_disks = vec![further("a,b", Bus::Nvme4096), further("c", Bus::Usb)];
        let argv =
            Machine { bus: Bus::Usb, further_disks, ..Machine::new("one", Accel::Tcg) }.argv().join(" ");
        for expected in [
            "-device qemu-xhci,id=usb-disk -device usb-storage,bus=usb-disk.0,drive=disk,removable=on,bootindex=0",
            "-drive if=none,id=further-drive0,format=raw,file=/vm/a,,b,cache=unsafe",
            "-device nvme,drive=further-drive0,serial=slipway,logical_block_size=4096,physical_block_size=4096,\
             id=further0,bootindex=1",
            "drive=further-drive1,removable=on,id=further1,bootindex=2",
        ] {
            assert!(argv.contains(expected), "{argv}");
        }
    }

    #[test]
    fn every_option_has_its_argument() {
        let mut machine = Machine::new("two", Accel::Kvm);
        machine.cpus = 1;
        machine.memory_mib = 512;
        machine.disk_format = DiskFormat::Raw;
        machine.bus = Bus::Nvme;
        machine.serial = Serial::Terminal;
        machine.watchdog = Watchdog::Itco;
        machine.credentials.insert("ssh.authorized_keys.core".into(), b"ssh-ed25519 A".to_vec());
        machine.cmdline_extra = vec!["a=1,2".into(), "b".into()];
        machine.drives.push("a,b".into());
        machine.fw_cfg.insert("org.example/x".into(), b"y".to_vec());
        machine.forwards.push(Forward { host_port: 8080, guest_port: 80 });
        machine.private_mac = Some(Mac([0x52, 0x54, 0, 0xaa, 0, 1]));
        machine.exit_on_reboot = true;
        machine.lifetime_secs = Some(600);
        check(
            &machine,
            expect![[r#"
            timeout
            --foreground
            --signal=KILL 600 qemu-system-x86_64
            -name two,process=two
            -machine q35,usb=off,vmport=off
            -accel kvm
            -cpu host
            -smp 1
            -m 512M
            -display none
            -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd
            -drive if=pflash,unit=1,format=raw,file=/vm/vars.fd
            -drive if=none,id=disk,format=raw,file=/vm/disk,cache=unsafe,discard=unmap,detect-zeroes=unmap
            -device nvme,drive=disk,serial=slipway,bootindex=0
            -serial mon:stdio
            -qmp unix:/vm/qmp.sock,server=on,wait=off
            -device virtio-rng-pci
            -netdev user,id=user,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=tcp:127.0.0.1:8080-:80
            -device virtio-net-pci,netdev=user,mac=52:54:00:12:34:56,romfile=
            -netdev stream,id=private,server=off,addr.type=unix,addr.path=/net/switch.sock,reconnect-ms=500
            -device virtio-net-pci,netdev=private,mac=52:54:00:aa:00:01,romfile=
            -global ICH9-LPC.noreboot=off
            -drive if=none,id=drive0,format=raw,readonly=on,file=/vm/a,,b
            -device virtio-blk-pci,drive=drive0
            -action watchdog=reset,reboot=shutdown
            -smbios type=11,value=io.systemd.credential.binary:ssh.authorized_keys.core=c3NoLWVkMjU1MTkgQQ==
            -smbios type=11,value=io.systemd.stub.kernel-cmdline-extra=a=1,,2 b
            -fw_cfg name=opt/org.example/x,file=/vm/fw_cfg/0
            -nodefaults
            -no-user-config
            -S"#]],
        );
    }
}

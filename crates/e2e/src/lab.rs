//! What a scenario works with: machines that it makes, their shells, and a clock for the progress lines.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context as _;
use etcd_lab::Programs;
use vm::{Accel, Home, Machine, Network, Sandbox};

use crate::cuts::Choice;
use crate::guest::Guest;
use crate::image::Image;

/// Size of the machines' disks: larger than the image, so that root has to grow.
pub const DISK_BYTES: u64 = 8 << 30;

/// The same for all scenarios of a run.
#[derive(Debug)]
pub struct Setup {
    /// Runs the programs of the tools tree.
    pub sandbox: Sandbox,
    /// The image under test.
    pub image: Image,
    /// Higher versions, in order, with one more system user and unit.
    pub next: Vec<Image>,
    /// Folder with the image in other formats.
    pub formats: Option<PathBuf>,
    /// Folder with programs of the image that run here.
    pub judges: Option<PathBuf>,
    /// Folder for disks and logs.
    pub work: PathBuf,
    /// What runs the guests' instructions.
    pub accel: Accel,
    /// Factor on all deadlines.
    pub patience: u32,
    /// Keep the disks and logs of failed scenarios.
    pub keep: bool,
    /// Which power cuts of a recording are judged.
    pub cuts: Choice,
    /// Of every random choice.
    pub seed: u64,
}

impl Setup {
    /// Returns the file of the image with this end of its name, which is not the raw one.
    pub fn format(&self, end: &str) -> anyhow::Result<PathBuf> {
        let missing = "this scenario starts the image in other formats: give --formats-dir";
        let path = self.formats.as_deref().context(missing)?;
        let path = path.join(format!("{}_{}.{end}", self.image.product, self.image.version));
        anyhow::ensure!(path.exists(), "{} is missing: build it with `--format`", path.display());
        Ok(path)
    }

    /// Returns the image's etcd, for stand-ins that run here.
    pub fn programs(&self) -> anyhow::Result<Programs> {
        let missing = "this scenario runs the image's etcd here: give --judges";
        Programs::of(self.judges.as_deref().context(missing)?).context("finding the image's etcd")
    }
}

/// One scenario's machines and progress; or that of scenarios which share a machine.
#[derive(Debug)]
pub struct Lab<'a> {
    /// The same for all scenarios.
    pub setup: &'a Setup,
    name: Cell<&'static str>,
    start: Cell<Instant>,
    guests: RefCell<Vec<Rc<Guest>>>,
    folders: RefCell<Vec<PathBuf>>,
}

impl<'a> Lab<'a> {
    /// Returns a lab without machines.
    pub fn new(setup: &'a Setup, name: &'static str) -> Self {
        let (name, start) = (Cell::new(name), Cell::new(Instant::now()));
        Self { setup, name, start, guests: RefCell::default(), folders: RefCell::default() }
    }

    /// Goes on with the next scenario, which finds the machines as they are.
    pub fn turn_to(&self, name: &'static str) {
        self.name.set(name);
        self.start.set(Instant::now());
    }

    /// Prints a progress line.
    pub fn say(&self, text: &str) {
        println!("{:>6.1} s  {}: {text}", self.start.get().elapsed().as_secs_f64(), self.name.get());
    }

    /// Runs one check of a scenario and prints its name and time.
    pub fn check(&self, claim: &str, check: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let start = Instant::now();
        check().with_context(|| format!("checking that {claim}"))?;
        self.say(&format!("ok ({:.1} s): {claim}", start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Returns the second image.
    pub fn next_image(&self) -> anyhow::Result<&'a Image> {
        self.next_images().map(|[next]| next)
    }

    /// Returns the images behind the one under test.
    pub fn next_images<const N: usize>(&self) -> anyhow::Result<&'a [Image; N]> {
        let missing = || format!("this scenario needs {N} further images: give --next-image-dir for each");
        self.setup.next.first_chunk().with_context(missing)
    }

    /// Makes a machine with a copy-on-write disk of the image. It is not started.
    pub fn guest(&self, name: &str) -> anyhow::Result<Rc<Guest>> {
        let guest = self.bare_guest(name)?;
        guest.home().new_overlay(&self.setup.image.raw, DISK_BYTES).context("making the disk")?;
        Ok(guest)
    }

    /// Makes a machine whose disk is a copy of the image, so that it can be edited while the machine is off.
    pub fn editable_guest(&self, name: &str) -> anyhow::Result<Rc<Guest>> {
        let guest = self.bare_guest(name)?;
        guest.home().new_raw_copy(&self.setup.image.raw, DISK_BYTES).context("copying the disk")?;
        Ok(guest)
    }

    /// Makes an empty folder for what is no machine; it goes with the scenario.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.setup.work.join(format!("{}-{name}", self.name.get()));
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        self.folders.borrow_mut().push(dir.clone());
        Ok(dir)
    }

    /// Makes a private network; it is there as long as this value or a machine on it.
    pub fn network(&self) -> anyhow::Result<Rc<Network>> {
        Network::start(self.folder("network")?).map(Rc::new).context("starting a private network")
    }

    /// Makes a machine without a disk.
    pub fn bare_guest(&self, name: &str) -> anyhow::Result<Rc<Guest>> {
        let dir = self.setup.work.join(format!("{}-{name}", self.name.get()));
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        let home = Home::claim(&self.setup.sandbox, &dir).context("making a machine")?;
        let machine = Machine::new(format!("{}-{name}", self.name.get()), self.setup.accel);
        let guest = Rc::new(Guest::new(name, home, machine, self.setup));
        self.guests.borrow_mut().push(Rc::clone(&guest));
        Ok(guest)
    }

    /// Prints what helps to find the cause: the consoles' and journals' last lines.
    pub fn report_failure(&self, error: &str) {
        let mut report = format!("FAILED {}: {error}\n", self.name.get());
        for guest in self.guests.borrow().iter() {
            report.push_str(&guest.last_words());
        }
        println!("{report}");
    }

    /// Ends all machines and removes their folders and the others.
    pub fn finish(&self, failed: bool) {
        for dir in self.folders.borrow_mut().drain(..) {
            if failed && self.setup.keep {
                println!("kept: {}", dir.display());
            } else if let Err(error) = std::fs::remove_dir_all(&dir) {
                println!("warning: removing {}: {error}", dir.display());
            }
        }
        for guest in self.guests.borrow_mut().drain(..) {
            guest.power_cut();
            if failed && self.setup.keep {
                println!("kept: {}", guest.home().dir().display());
            } else if let Err(error) = std::fs::remove_dir_all(guest.home().dir()) {
                println!("warning: removing {}: {error}", guest.home().dir().display());
            }
        }
    }
}

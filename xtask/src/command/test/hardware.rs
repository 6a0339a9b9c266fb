//! What docs/operating/hardware.md promises is in the image: every module, and the firmware that it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::{firmware, hash};

/// The page.
pub const PAGE: &str = "docs/operating/hardware.md";
/// The column that names modules, and in code with a slash firmware that nobody has.
const COLUMN: &str = "modules";

/// What one table of the page names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table<'a> {
    /// Names of modules, with underscores.
    pub modules: Vec<&'a str>,
    /// Firmware that they ask for, and that does not ship.
    pub without: BTreeSet<&'a str>,
}

/// Reads the tables of the page, by the heading above them.
pub fn tables(page: &str) -> BTreeMap<&str, Table<'_>> {
    let mut tables: BTreeMap<&str, Table<'_>> = BTreeMap::new();
    let (mut heading, mut is_table) = ("", false);
    for line in page.lines() {
        heading = line.strip_prefix("## ").unwrap_or(heading);
        let cell = line.starts_with("| ").then(|| line.split('|').nth(2)).flatten().map(str::trim);
        match cell {
            None => is_table = false,
            Some(COLUMN) => is_table = true,
            Some(cell) if is_table => {
                let table = tables.entry(heading).or_default();
                for name in cell.split('`').skip(1).step_by(2) {
                    if name.contains('/') {
                        table.without.insert(name);
                    } else {
                        table.modules.push(name);
                    }
                }
            }
            Some(_) => {}
        }
    }
    tables
}

/// Fails with all that an unpacked `/usr` lacks of what the page names.
pub fn check(page: &str, usr: &Path, has_firmware: bool) -> anyhow::Result<()> {
    let (files, builtin) = modules(usr)?;
    let mut found = Vec::new();
    for (heading, table) in tables(page) {
        let mut asked = BTreeSet::new();
        for name in &table.modules {
            match files.get(*name) {
                Some(path) => {
                    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
                    asked.extend(firmware::of_module(&bytes)?.into_iter().map(|file| (file, *name)));
                }
                None if builtin.contains(*name) => {}
                None => found.push(format!("{heading}: {name}: not in the image")),
            }
        }
        for (file, module) in asked.iter().filter(|_| has_firmware) {
            // A link counts: what it leads to is in the image, or the packages are at fault.
            let is_there = usr.join("lib/firmware").join(file).exists();
            if is_there == table.without.contains(file.as_str()) {
                let state =
                    if is_there { "ships, although the page says it does not" } else { "does not ship" };
                found.push(format!("{heading}: {module}: firmware {file} {state}"));
            }
        }
        let is_asked = |file: &&str| asked.iter().any(|(asked, _)| asked == file);
        let idle = table.without.iter().filter(|file| !is_asked(file));
        found.extend(idle.map(|file| format!("{heading}: nobody asks for firmware {file}")));
    }
    anyhow::ensure!(found.is_empty(), "{PAGE} and the image:\n  {}", found.join("\n  "));
    Ok(())
}

/// Modules of the one kernel by name, and names of those that are in the kernel itself.
fn modules(usr: &Path) -> anyhow::Result<(BTreeMap<String, PathBuf>, BTreeSet<String>)> {
    let home = usr.join("lib/modules");
    let kernels = hash::sorted_dir(&home)?;
    let [(_, kernel)] = kernels.as_slice() else {
        anyhow::bail!("{} holds {} kernels, not one", home.display(), kernels.len())
    };
    let mut files = BTreeMap::new();
    below(&kernel.join("kernel"), &mut files)?;
    let list = kernel.join("modules.builtin");
    let text = fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
    Ok((files, text.lines().filter_map(|line| name(line.rsplit('/').next()?)).collect()))
}

fn below(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> anyhow::Result<()> {
    for (file, path) in hash::sorted_dir(dir)? {
        if path.is_dir() {
            below(&path, files)?;
        } else if let Some(name) = name(&file) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// The name by which modprobe knows a file.
fn name(file: &str) -> Option<String> {
    Some(file.strip_suffix(".ko")?.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{self, Definition};

    const TEXT: &str = "# H\n\n## Disks\n\n| disk | modules | tried |\n| --- | --- | --- |\n| x | `a`, `b` (without \
                        `b/c.bin`) | `d` |\n\nprose `e`\n\n## Network\n\n| card | modules |\n| --- | --- |\n| y | `f_g` |\n";

    fn repo() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    #[test]
    fn reads_modules_and_what_they_are_without() {
        let tables = tables(TEXT);
        let disks = Table { modules: vec!["a", "b"], without: BTreeSet::from(["b/c.bin"]) };
        let network = Table { modules: vec!["f_g"], without: BTreeSet::new() };
        assert_eq!(tables, BTreeMap::from([("Disks", disks), ("Network", network)]));
    }

    #[test]
    fn names_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let kernel = dir.path().join("lib/modules/6.12");
        fs::create_dir_all(kernel.join("kernel/drivers")).unwrap();
        fs::write(kernel.join("modules.builtin"), "kernel/drivers/a.ko\n").unwrap();
        // Any ELF file is a module that asks for nothing.
        fs::copy(std::env::current_exe().unwrap(), kernel.join("kernel/drivers/f-g.ko")).unwrap();
        let error = check(TEXT, dir.path(), true).unwrap_err().to_string();
        let expected = ["Disks: b: not in the image", "Disks: nobody asks for firmware b/c.bin"];
        assert_eq!(error.lines().skip(1).map(str::trim).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_initrd_has_every_disk_of_the_page() {
        let page = fs::read_to_string(repo().join(PAGE)).unwrap();
        let definition = Definition::read(&repo().join("image/image.yaml")).unwrap();
        let initrd = definition::names(&definition.initrd.modules);
        let tables = tables(&page);
        assert_eq!(tables.keys().copied().collect::<Vec<_>>(), ["Disks", "Network", "Watchdogs"]);
        let disks = &tables["Disks"].modules;
        let missing: Vec<_> = disks.iter().filter(|name| !initrd.contains(name)).collect();
        assert!(disks.len() > 20 && missing.is_empty(), "initrd.modules lacks {missing:?}");
    }
}

//! Stage `usr`: the assembled tree becomes the sealed `/usr`: pruned, overlaid, packed as erofs, with its
//! dm-verity hash tree.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_yaml::Spanned;

use crate::ctx::Ctx;
use crate::definition::{self, Definition};
use crate::hash::{self, Key};
use crate::keyed::{self, Timing};
use crate::manifest::{Package, SpecialFile};
use crate::ownership;
use crate::stage::{agents, modules, owners, rootfs};
use crate::tools::Tools;
use crate::tree::{Node, Tree};
use crate::{accounts, contents, firmware, identity, licences};

const VERSION: u32 = 4;

/// All that `/usr` is made of.
#[derive(Debug)]
pub struct Input<'a> {
    /// The image definition.
    pub definition: &'a Definition,
    /// Version of the image.
    pub version: &'a slots::Version,
    /// Time of every file, seconds since 1970.
    pub epoch: u64,
    /// The assembled tree.
    pub rootfs: &'a rootfs::Output,
    /// Kernel modules.
    pub modules: &'a modules::Output,
    /// Owners from the packages.
    pub owners: &'a owners::Output,
    /// Our programs.
    pub agents: &'a agents::Output,
    /// Folders with a `usr` each, in order.
    pub overlays: &'a [PathBuf],
    /// Trusted public keys: name and text.
    pub keys: &'a BTreeMap<String, String>,
    /// Name, version and architecture of each package.
    pub packages: &'a [Package],
    /// Hash of the tools tree.
    pub tools_hash: &'a str,
}

/// The sealed `/usr`.
#[derive(Debug)]
pub struct Output {
    /// The erofs image.
    pub image: PathBuf,
    /// Superblock and hash tree.
    pub verity: PathBuf,
    /// What the manifest says of it.
    pub facts: Facts,
    /// Key of this output.
    pub key: String,
    /// For the build report.
    pub timing: Timing,
}

/// What is known of a sealed `/usr`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// Hexadecimal.
    pub root_hash: String,
    /// Hexadecimal.
    pub salt: String,
    /// Blocks of 4096 bytes.
    pub usr_blocks: u64,
    /// With licences.
    pub packages: Vec<Package>,
    /// Set-id and group-owned files.
    pub special_files: Vec<SpecialFile>,
    /// Bytes by package.
    pub contents: BTreeMap<String, u64>,
}

/// Builds the tree, packs it, hashes it.
pub fn run(ctx: &Ctx, tools: &Tools<'_>, input: &Input<'_>) -> anyhow::Result<Output> {
    let key = key(ctx, input)?;
    let (dir, timing) = keyed::run(ctx, "usr", &key, |work| {
        let (tree, mut facts) = assemble(ctx, tools, input)?;
        let product = &input.definition.product.value;
        let image = work.join("usr.erofs");
        let uuid = identity::uuid(product, "usr erofs");
        tools.mkfs_erofs(&image, input.epoch, &uuid.to_string(), |out| {
            crate::tree::stream::write_tar(&tree, input.epoch, out)
        })?;
        ctx.cancel.check()?;
        let salt = verity::Salt(identity::bytes(product, "verity salt"));
        let file = File::open(&image).with_context(|| format!("opening {}", image.display()))?;
        facts.usr_blocks = file.metadata()?.len() / u64::try_from(verity::BLOCK_SIZE)?;
        let uuid = *identity::uuid(product, "verity").as_bytes();
        let mut tree = Cursor::new(Vec::new());
        let data = BufReader::with_capacity(1 << 20, file);
        let root = verity::build(data, facts.usr_blocks, &salt, uuid, &mut tree)
            .with_context(|| format!("hashing {}", image.display()))?;
        crate::durable::write(&work.join("usr.verity"), tree.get_ref())?;
        facts.root_hash = root.to_string();
        facts.salt = hash::hex(&salt.0);
        crate::durable::write(&work.join("usr.json"), &serde_json::to_vec_pretty(&facts)?)
    })?;
    let path = dir.join("usr.json");
    let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let facts = serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
    Ok(Output { image: dir.join("usr.erofs"), verity: dir.join("usr.verity"), facts, key, timing })
}

/// The rules as one matcher in which `*` does not cross folders.
pub fn globs(rules: &[Spanned<String>]) -> anyhow::Result<globset::GlobSet> {
    let mut set = globset::GlobSetBuilder::new();
    for rule in rules {
        set.add(globset::GlobBuilder::new(&rule.value).literal_separator(true).build()?);
    }
    Ok(set.build()?)
}

fn key(ctx: &Ctx, input: &Input<'_>) -> anyhow::Result<String> {
    let mut key = Key::new("usr", VERSION);
    let definition = input.definition;
    key.add("rootfs", input.rootfs.key.as_bytes());
    key.add("modules", input.modules.key.as_bytes());
    key.add("agents", input.agents.key.as_bytes());
    key.add("tools", input.tools_hash.as_bytes());
    key.add("version", input.version.to_string().as_bytes());
    key.add("epoch", &input.epoch.to_le_bytes());
    key.add("product", definition.product.value.as_bytes());
    key.add("prune", format!("{:?}", definition::names(&definition.prune.paths)).as_bytes());
    let kept = &definition.prune.firmware_kept;
    key.add("firmware", format!("{:?}", definition::names(kept)).as_bytes());
    for row in &definition.ownership {
        let row = format!("{} {} {} {}", row.path.value, row.owner, row.group, row.mode.value);
        key.add("ownership", row.as_bytes());
    }
    let files = accounts::Files::render(&definition.accounts);
    key.add("accounts", format!("{files:?}").as_bytes());
    for (name, text) in input.keys {
        key.add(name, text.as_bytes());
    }
    for overlay in input.overlays {
        key.add_path("overlay", &overlay.join("usr"))?;
    }
    ctx.cancel.check()?;
    Ok(key.finish())
}

fn assemble(ctx: &Ctx, tools: &Tools<'_>, input: &Input<'_>) -> anyhow::Result<(Tree, Facts)> {
    let definition = input.definition;
    let product = &definition.product.value;
    let mut tree = Tree::load(&input.rootfs.root, "usr")?;
    tree.overlay(Tree::load(&input.rootfs.root, "etc")?);
    let (licences, packages) = licences::collect(&tree, input.packages)?;
    let unused = tree.prune(&globs(&definition.prune.paths)?, definition.prune.paths.len());
    for idx in unused {
        let rule = &definition.prune.paths[idx];
        ctx.log.warn(&format!(
            "image/image.yaml:{}: prune: `{}` matches nothing",
            rule.referenced.line(),
            rule.value
        ));
    }
    tree.remove(&format!("usr/lib/modules/{}", input.modules.kernel));
    tree.overlay(Tree::load(&input.modules.root, "usr")?);
    tree.0.retain(|path, _| !modules::is_text_index(path));
    let asked_for = firmware::of_modules(&tree)?;
    firmware::prune(&mut tree, &asked_for, &globs(&definition.prune.firmware_kept)?);
    tree.rename("etc", "usr/share/factory/etc");
    tree.overlay(licences);
    let contents = contents::by_package(&input.rootfs.root, &tree, product)?;

    tree.remove("usr/lib/sysusers.d");
    let files = accounts::Files::render(&definition.accounts);
    for (name, text) in [
        ("usr/share/factory/etc/passwd", files.passwd),
        ("usr/share/factory/etc/group", files.group),
        ("usr/share/factory/etc/shadow", files.shadow),
        ("usr/share/factory/etc/gshadow", files.gshadow),
        ("usr/lib/sysusers.d/00-slipway.conf", files.sysusers),
    ] {
        tree.insert(name, Node::file(text));
    }
    for overlay in input.overlays {
        tree.overlay(Tree::load(overlay, "usr")?);
    }
    accounts::check_sysusers(&tree)?;
    for (name, path) in &input.agents.binaries {
        tree.insert(&format!("usr/bin/{name}"), Node::program(path));
    }
    tree.insert("usr/lib/os-release", Node::file(identity::os_release(product, input.version)));
    tree.insert("usr/share/factory/etc/os-release", Node::symlink("../usr/lib/os-release"));
    let sealed = format!("usr/lib/{product}");
    let image = identity::image_json(product, input.version, input.epoch)?;
    tree.insert(&format!("{sealed}/image.json"), Node::file(image));
    tree.insert(&format!("{sealed}/packages.json"), Node::file(serde_json::to_vec_pretty(&packages)?));
    let stub = tools.tree().join("usr/lib/systemd/boot/efi/addonx64.efi.stub");
    let stub = std::fs::read(&stub).with_context(|| format!("reading {}", stub.display()))?;
    tree.insert(&format!("{sealed}/addonx64.efi.stub"), Node::file(stub));
    for (name, text) in input.keys {
        tree.insert(&format!("{sealed}/keys/{name}"), Node::file(text.as_bytes()));
    }
    ownership::apply(&mut tree, &input.owners.table, definition)?;
    // The root of the image is /usr itself.
    let tree = Tree(
        tree.0
            .into_iter()
            .filter_map(|(path, node)| Some((path.strip_prefix("usr/")?.to_owned(), node)))
            .collect(),
    );
    let special_files = ownership::special_files(&tree, &definition.accounts)
        .into_iter()
        .map(|file| SpecialFile { path: format!("/usr{}", file.path), ..file })
        .collect();
    let facts = Facts {
        root_hash: String::new(),
        salt: String::new(),
        usr_blocks: 0,
        packages,
        special_files,
        contents,
    };
    Ok((tree, facts))
}

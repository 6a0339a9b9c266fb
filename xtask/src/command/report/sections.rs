//! The sections of the page that are tables, each a function of what the page shows.

use std::collections::BTreeMap;

use super::difference;
use super::drawing::by_component;
use super::page::{Page, push};
use super::text::{change, escape, percent, size};
use crate::keyed::Outcome;

/// The same as a table, for those who do not see the drawing.
pub fn components(page: &Page<'_>) -> String {
    let parts = by_component(page);
    let total: u64 = parts.iter().map(|part| part.bytes).sum();
    let mut html = section("components", "Components");
    html.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Component</th><th class=\"num\">Size</th><th class=\"num\">Share</th>\
         <th>Largest packages</th></tr></thead>\n<tbody>\n",
    );
    for part in &parts {
        let largest: Vec<String> = part
            .packages
            .iter()
            .take(4)
            .map(|(name, bytes)| format!("{} {}", escape(name), size(*bytes)))
            .collect();
        push(
            &mut html,
            format_args!(
                "<tr><td><span class=\"swatch\" style=\"--h:{}\"></span>{}</td><td class=\"num\">{}</td>\
                 <td class=\"num\">{}</td><td class=\"soft\">{}</td></tr>\n",
                part.hue,
                escape(part.name),
                size(part.bytes),
                percent(part.bytes, total),
                largest.join(", ")
            ),
        );
    }
    html.push_str("</tbody></table></div>\n</section>\n");
    html
}

/// The files of the build, with their budgets.
pub fn artifacts(page: &Page<'_>) -> String {
    let mut html = section("artifacts", "Artifacts");
    html.push_str(
        "<div class=\"wide\"><table><thead><tr><th>File</th><th class=\"num\">Length</th><th>Budget</th>\
         <th>SHA-256</th></tr></thead>\n<tbody>\n",
    );
    for (role, artifact) in &page.manifest.artifacts {
        let budget = page.budgets.get(role).map_or_else(
            || "<span class=\"soft\">none</span>".to_owned(),
            |limit| {
                let over = *limit < artifact.size;
                let (class, words) = if over {
                    ("over", format!("over by {}", size(artifact.size - limit)))
                } else {
                    ("ok", format!("{} left", size(limit - artifact.size)))
                };
                let bar = bar(artifact.size.min(*limit), *limit, if over { "over" } else { "" });
                format!("{} – <span class=\"{class}\">{words}</span>{bar}", size(*limit))
            },
        );
        push(
            &mut html,
            format_args!(
                "<tr><td>{} <span class=\"soft\">{}</span></td><td class=\"num\">{}</td><td>{budget}</td>\
                 <td class=\"mono\">{}</td></tr>\n",
                escape(&artifact.file),
                escape(role),
                size(artifact.size),
                escape(&artifact.sha256)
            ),
        );
    }
    html.push_str("</tbody></table></div>\n</section>\n");
    html
}

/// What each stage took.
pub fn stages(page: &Page<'_>) -> String {
    let mut html = section("stages", "Stages");
    if page.stages.is_empty() {
        html.push_str("<p>No build report lies beside the manifest.</p>\n</section>\n");
        return html;
    }
    let longest = page.stages.iter().map(|row| millis(row.seconds)).max().unwrap_or(0);
    html.push_str(
        "<table><thead><tr><th>Stage</th><th></th><th class=\"num\">Seconds</th><th style=\"width:40%\">Time</th>\
         <th class=\"num\">Output</th></tr></thead>\n<tbody>\n",
    );
    for row in page.stages {
        let (word, class) = match row.outcome {
            Outcome::Hit => ("kept", "hit"),
            Outcome::Run => ("ran", ""),
        };
        push(
            &mut html,
            format_args!(
                "<tr><td>{}</td><td class=\"soft\">{word}</td><td class=\"num\">{:.1}</td><td>{}</td>\
                 <td class=\"num\">{}</td></tr>\n",
                escape(&row.stage),
                row.seconds,
                bar(millis(row.seconds), longest, class),
                size(row.bytes_out)
            ),
        );
    }
    html.push_str(
        "</tbody></table>\n<p class=\"soft\">Some stages run side by side: the sum is more than the build took.</p>\n\
         </section>\n",
    );
    html
}

/// What differs from the older build, if one was given.
pub fn difference(page: &Page<'_>) -> String {
    let Some(old) = page.against else { return String::new() };
    let found = difference::between(old, page.manifest);
    let mut html = section("difference", &format!("Difference from {}", old.version));
    if found.is_empty() {
        html.push_str("<p>No difference: the same packages, bytes and inputs.</p>\n</section>\n");
        return html;
    }
    let sum = |contents: &BTreeMap<String, u64>| contents.values().sum::<u64>();
    let (before, after) = (sum(&old.contents), sum(&page.manifest.contents));
    push(
        &mut html,
        format_args!(
            "<p>{} packages added, {} removed, {} changed; <code>/usr</code> before compression {} ({}).</p>\n",
            found.added.len(),
            found.removed.len(),
            found.changed.len(),
            size(after),
            signed(before, after)
        ),
    );
    let three = |rows: &[(String, u64, u64)]| -> Vec<[String; 4]> {
        let cells = |(name, a, b): &(String, u64, u64)| [escape(name), size(*a), size(*b), signed(*a, *b)];
        rows.iter().map(cells).collect()
    };
    table(
        &mut html,
        "Artifacts whose bytes differ",
        ["Role", "Old", "New", "Change"],
        &three(&found.artifacts),
    );
    table(
        &mut html,
        "Packages whose size differs",
        ["Package", "Old", "New", "Change"],
        &three(&found.sizes),
    );
    let none = || "–".to_owned();
    let added = found.added.iter().map(|(name, new)| [escape(name), none(), escape(new), "added".to_owned()]);
    let removed =
        found.removed.iter().map(|(name, old)| [escape(name), escape(old), none(), "removed".to_owned()]);
    let changed = found
        .changed
        .iter()
        .map(|(name, old, new)| [escape(name), escape(old), escape(new), "changed".to_owned()]);
    let versions: Vec<_> = added.chain(removed).chain(changed).collect();
    table(&mut html, "Packages", ["Package", "Old", "New", ""], &versions);
    let gone =
        found.special_gone.iter().map(|line| [escape(line), String::new(), String::new(), "gone".to_owned()]);
    let new =
        found.special_new.iter().map(|line| [escape(line), String::new(), String::new(), "new".to_owned()]);
    table(&mut html, "Special files", ["File", "", "", ""], &gone.chain(new).collect::<Vec<_>>());
    let inputs: Vec<_> = found
        .inputs
        .iter()
        .map(|(name, old, new)| [escape(name), mono(old), mono(new), String::new()])
        .collect();
    table(&mut html, "Inputs and identity", ["What", "Old", "New", ""], &inputs);
    html.push_str("</section>\n");
    html
}

fn mono(text: &str) -> String {
    format!("<span class=\"mono\">{}</span>", escape(text))
}

/// Files that a review of an image looks at first.
pub fn special_files(page: &Page<'_>) -> String {
    let mut html = section("special", "Special files");
    html.push_str(
        "<table><thead><tr><th>Mode</th><th>Owner</th><th>Group</th><th>Path</th></tr></thead>\n<tbody>\n",
    );
    for file in &page.manifest.special_files {
        let [mode, owner, group, path] =
            [&file.mode, &file.owner, &file.group, &file.path].map(|text| escape(text));
        push(
            &mut html,
            format_args!(
                "<tr><td class=\"mono\">{mode}</td><td>{owner}</td><td>{group}</td><td class=\"mono\">{path}</td></tr>\n"
            ),
        );
    }
    html.push_str("</tbody></table>\n</section>\n");
    html
}

/// Every package, and what of `/usr` belongs to none.
pub fn packages(page: &Page<'_>) -> String {
    let mut html = section("packages", "Packages");
    html.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Package</th><th>Version</th><th>Component</th>\
         <th class=\"num\">Size</th><th>Licences</th></tr></thead>\n<tbody>\n",
    );
    let listed: BTreeMap<&str, _> =
        page.manifest.packages.iter().map(|row| (row.name.as_str(), row)).collect();
    let mut names: Vec<&str> =
        listed.keys().copied().chain(page.manifest.contents.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let row = listed.get(name);
        push(
            &mut html,
            format_args!(
                "<tr id=\"p-{}\"><td>{}</td><td class=\"mono\">{}</td><td>{}</td><td class=\"num\">{}</td><td>{}</td></tr>\n",
                escape(name),
                escape(name),
                row.map_or_else(String::new, |row| escape(&row.version)),
                page.components.get(name).map_or_else(String::new, |part| escape(part)),
                page.manifest.contents.get(name).map_or_else(|| "–".to_owned(), |bytes| size(*bytes)),
                row.map_or_else(String::new, |row| escape(&row.licence)),
            ),
        );
    }
    html.push_str("</tbody></table></div>\n</section>\n");
    html
}

/// Opens a section; the caller closes it.
pub fn section(id: &str, title: &str) -> String {
    format!("<section id=\"{id}\" aria-labelledby=\"h-{id}\">\n<h2 id=\"h-{id}\">{}</h2>\n", escape(title))
}

/// A table of cells that are HTML already; nothing when there are no rows.
fn table(html: &mut String, title: &str, heads: [&str; 4], rows: &[[String; 4]]) {
    if rows.is_empty() {
        return;
    }
    push(html, format_args!("<h3>{title}</h3>\n<div class=\"wide\"><table><thead><tr>"));
    for head in heads {
        push(html, format_args!("<th>{head}</th>"));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        push(html, format_args!("<tr><td>{}</td></tr>\n", row.join("</td><td>")));
    }
    html.push_str("</tbody></table></div>\n");
}

fn signed(from: u64, to: u64) -> String {
    let class = match from.cmp(&to) {
        std::cmp::Ordering::Less => "plus",
        std::cmp::Ordering::Equal => "soft",
        std::cmp::Ordering::Greater => "minus",
    };
    format!("<span class=\"{class}\">{}</span>", change(from, to))
}

fn bar(part: u64, whole: u64, class: &str) -> String {
    let share = percent(part, whole).replace(' ', "");
    format!(
        "<span class=\"bar\" aria-hidden=\"true\"><i class=\"{class}\" style=\"width:{share}\"></i></span>"
    )
}

fn millis(seconds: f64) -> u64 {
    u64::try_from(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_millis())
        .unwrap_or(u64::MAX)
}

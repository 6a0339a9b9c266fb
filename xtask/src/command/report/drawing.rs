//! What is drawn: the treemap of `/usr` and the map of the disk.

use std::collections::BTreeMap;

use super::page::{Page, push};
use super::sections::section;
use super::text::{escape, size};
use super::treemap::{Rect, squarify};

/// The drawing's own units; the page scales it.
const MAP: Rect = Rect { x: 0.0, y: 0.0, w: 1200.0, h: 640.0 };
/// Height of a component's title.
const HEAD: f64 = 20.0;
/// Width of a character of the labels, about.
const CHAR: f64 = 6.9;

/// One component and its packages, both by falling size.
#[derive(Debug)]
pub struct Component<'a> {
    /// Its group of packages, or the product.
    pub name: &'a str,
    /// Bytes of all its packages.
    pub bytes: u64,
    /// Name and bytes of each.
    pub packages: Vec<(&'a str, u64)>,
    /// Angle of its color.
    pub hue: u32,
}

/// The image by component and package, as rectangles.
pub fn treemap(page: &Page<'_>) -> String {
    let parts = by_component(page);
    let mut html = section("treemap", "Where the bytes are");
    html.push_str(
        "<p class=\"soft\">Every rectangle is a package, its area the length of its files; each leads to its \
         row in the list.</p>\n<div class=\"wide\">\n",
    );
    let (w, h) = (MAP.w, MAP.h);
    push(
        &mut html,
        format_args!(
            "<svg class=\"map\" viewBox=\"0 0 {w} {h}\" role=\"group\" aria-label=\"Treemap of /usr\">\n"
        ),
    );
    let weights: Vec<f64> = parts.iter().map(|part| weight(part.bytes)).collect();
    for (part, rect) in parts.iter().zip(squarify(&weights, MAP)) {
        draw_component(&mut html, part, rect);
    }
    html.push_str("</svg>\n</div>\n</section>\n");
    html
}

fn draw_component(html: &mut String, part: &Component<'_>, rect: Rect) {
    let titled = 60.0 < rect.w && 46.0 < rect.h;
    let Rect { x, y, w, h } = rect;
    push(html, format_args!("<g style=\"--h:{}\">\n", part.hue));
    push(
        html,
        format_args!("<rect class=\"part\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"/>\n"),
    );
    if titled {
        let text = format!("{} {}", part.name, size(part.bytes));
        if let Some(text) = fitting(&text, w - 12.0) {
            push(
                html,
                format_args!(
                    "<text class=\"head\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                    x + 7.0,
                    y + 15.0,
                    escape(&text)
                ),
            );
        }
    }
    let inner = if titled { rect.inner(HEAD, 3.0) } else { rect.inner(2.0, 2.0) };
    let weights: Vec<f64> = part.packages.iter().map(|(_, bytes)| weight(*bytes)).collect();
    for ((name, bytes), rect) in part.packages.iter().zip(squarify(&weights, inner)) {
        draw_package(html, part.name, name, *bytes, rect);
    }
    html.push_str("</g>\n");
}

fn draw_package(html: &mut String, component: &str, name: &str, bytes: u64, rect: Rect) {
    let Rect { x, y, w, h } = rect;
    let label = format!("{name}, {} ({component})", size(bytes));
    push(
        html,
        format_args!(
            "<a href=\"#p-{}\" aria-label=\"{}\"><title>{}</title><rect class=\"pack\" x=\"{x:.1}\" y=\"{y:.1}\" \
             width=\"{w:.1}\" height=\"{h:.1}\"/>",
            escape(name),
            escape(&label),
            escape(&label)
        ),
    );
    if 17.0 < h
        && let Some(text) = fitting(name, w - 8.0)
    {
        push(html, format_args!("<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 4.0, y + 13.0, escape(&text)));
        let number = size(bytes);
        if 32.0 < h && fitting(&number, w - 8.0).is_some_and(|text| text == number) {
            push(
                html,
                format_args!(
                    "<text class=\"num\" x=\"{:.1}\" y=\"{:.1}\">{number}</text>",
                    x + 4.0,
                    y + 27.0
                ),
            );
        }
    }
    html.push_str("</a>\n");
}

/// As much of a label as fits, or nothing when too little would be left to be understood.
fn fitting(text: &str, width: f64) -> Option<String> {
    let mut room = width;
    let mut out = String::new();
    for (idx, c) in text.chars().enumerate() {
        room -= CHAR;
        if room < 0.0 {
            out.pop();
            out.push('…');
            return (6 < idx).then_some(out);
        }
        out.push(c);
    }
    Some(out)
}

/// The disk from its first to its last byte.
pub fn partitions(page: &Page<'_>) -> String {
    let mut html = section("partitions", "Partitions");
    let disk = page.manifest.artifacts.get("raw").map_or(0, |raw| raw.size);
    let end =
        page.manifest.partitions.iter().map(|row| row.offset.saturating_add(row.size)).max().unwrap_or(0);
    let whole = disk.max(end);
    html.push_str("<div class=\"wide\"><div class=\"disk\" aria-hidden=\"true\">\n");
    for (idx, row) in (0u32..).zip(&page.manifest.partitions) {
        let title = format!("{}: {}", row.label, size(row.size));
        let narrow = if row.size.saturating_mul(24) < whole { " class=\"narrow\"" } else { "" };
        push(
            &mut html,
            format_args!(
                "<div{narrow} style=\"--h:{};--n:{}\" title=\"{}\">{}</div>\n",
                hue(idx),
                row.size >> 20,
                escape(&title),
                escape(&row.label)
            ),
        );
    }
    let left = whole.saturating_sub(end);
    if left >> 20 > 0 {
        push(
            &mut html,
            format_args!(
                "<div class=\"free\" style=\"--n:{}\" title=\"root, made at first boot\">root</div>\n",
                left >> 20
            ),
        );
    }
    html.push_str(
        "</div></div>\n<table><thead><tr><th class=\"num\">#</th><th>Label</th><th class=\"num\">First byte</th>\
         <th class=\"num\">Length</th></tr></thead>\n<tbody>\n",
    );
    for (idx, row) in (0u32..).zip(&page.manifest.partitions) {
        push(
            &mut html,
            format_args!(
                "<tr><td class=\"num\">{}</td><td><span class=\"swatch\" style=\"--h:{}\"></span>{}</td>\
                 <td class=\"num\">{}</td><td class=\"num\">{}</td></tr>\n",
                idx + 1,
                hue(idx),
                escape(&row.label),
                row.offset,
                size(row.size)
            ),
        );
    }
    html.push_str("</tbody></table>\n");
    if left >> 20 > 0 {
        push(
            &mut html,
            format_args!(
                "<p class=\"soft\">The {} behind them and all that a larger disk has become <code>root</code> at \
                 first boot.</p>\n",
                size(left)
            ),
        );
    }
    html.push_str("</section>\n");
    html
}

/// Components and their packages, both by falling size.
pub fn by_component<'a>(page: &Page<'a>) -> Vec<Component<'a>> {
    let mut map: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for (name, bytes) in &page.manifest.contents {
        let component = page.components.get(name).map_or(super::components::REST, String::as_str);
        map.entry(component).or_default().push((name, *bytes));
    }
    let mut parts: Vec<Component<'_>> = (0u32..)
        .zip(map)
        .map(|(idx, (name, mut packages))| {
            packages.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
            let bytes = packages.iter().map(|(_, bytes)| bytes).sum();
            Component { name, bytes, packages, hue: hue(idx) }
        })
        .collect();
    parts.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(b.name)));
    parts
}

/// Neighbors in a list get angles far apart: multiples of the golden angle.
fn hue(idx: u32) -> u32 {
    (205 + idx * 137) % 360
}

/// Kibibytes: exact enough for a drawing, and no conversion can lose anything.
fn weight(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX))
}

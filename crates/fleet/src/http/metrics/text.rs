//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write as _;

use super::values::{Buckets, Family, Kind, Value};

/// Returns a family's lines.
pub(super) fn render(family: &Family) -> String {
    let name = family.name.name;
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let mut out = format!("# HELP {name} {}\n# TYPE {name} {kind}\n", family.name.help);
    for (values, value) in family.series().iter() {
        let labels: Vec<String> = family
            .name
            .labels
            .iter()
            .zip(values)
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        match (value, family.kind) {
            (Value::Counter(count), _) => line(&mut out, name, &labels, count),
            (Value::Gauge(now), _) => line(&mut out, name, &labels, &number(*now)),
            (Value::Histogram(buckets), Kind::Histogram(ends)) => {
                histogram(&mut out, name, &labels, ends, buckets);
            }
            // A family of another kind has no buckets.
            (Value::Histogram(_), _) => {}
        }
    }
    out
}

/// Buckets are cumulative: each counts all that is at most its upper end.
fn histogram(out: &mut String, name: &str, labels: &[String], ends: &[f64], buckets: &Buckets) {
    let bucket = format!("{name}_bucket");
    let with_end = |end: &str| {
        let mut labels = labels.to_vec();
        labels.push(format!("le=\"{end}\""));
        labels
    };
    let mut below = 0;
    for (end, count) in ends.iter().zip(&buckets.counts) {
        below += count;
        line(out, &bucket, &with_end(&number(*end)), &below);
    }
    line(out, &bucket, &with_end("+Inf"), &buckets.count);
    line(out, &format!("{name}_sum"), labels, &number(buckets.sum));
    line(out, &format!("{name}_count"), labels, &buckets.count);
}

fn line(out: &mut String, name: &str, labels: &[String], value: &dyn std::fmt::Display) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{name}{labels} {value}");
}

/// Rust says `inf` where Prometheus says `+Inf`.
fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

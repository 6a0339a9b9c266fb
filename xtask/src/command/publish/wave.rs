//! A wave on the command line: `START,DURATION,PERCENT`.

use anyhow::Context as _;
use payload::channel::Wave;

/// Reads one. Times are whole numbers with `s`, `m`, `h` or `d`; the percent may have its sign.
pub fn parse(text: &str) -> anyhow::Result<Wave> {
    let remedy = || format!("--wave {text}: write it as `12h,6h,25`: begin, length, percent");
    let mut parts = text.split(',').map(str::trim);
    let (Some(start), Some(duration), Some(percent), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        anyhow::bail!(remedy());
    };
    Ok(Wave {
        start: secs(start).with_context(remedy)?,
        duration: secs(duration).with_context(remedy)?,
        percent: percent.strip_suffix('%').unwrap_or(percent).parse().ok().with_context(remedy)?,
    })
}

fn secs(text: &str) -> Option<u64> {
    let unit = |unit: char| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(24 * 3600),
        _ => None,
    };
    // Nothing needs no unit.
    if text == "0" {
        return Some(0);
    }
    let last = text.chars().last()?;
    text.strip_suffix(last)?.parse::<u64>().ok()?.checked_mul(unit(last)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_with_units() {
        assert_eq!(parse("0,90m,5").unwrap(), Wave { start: 0, duration: 5400, percent: 5 });
        assert_eq!(parse("1d, 12h, 95%").unwrap(), Wave { start: 86_400, duration: 43_200, percent: 95 });
    }

    #[test]
    fn rejects_what_has_no_unit_or_other_parts() {
        for text in [
            "",
            "1d",
            "1d,2d",
            "1d,2d,3,4",
            "5,1h,100",
            "1w,1h,100",
            "1h,1h,x",
            "é,1h,1",
            "99999999999999999999d,1h,1",
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains("write it as `12h,6h,25`"), "{text}: {error}");
        }
    }
}

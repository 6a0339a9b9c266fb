//! Which backups are kept, by their names alone: a name is the time at which the backup was made.

/// Backups that are kept: those of a day.
pub const KEPT: usize = 24;
/// What a backup being made has behind its name.
pub const PARTIAL: &str = ".partial";

/// Returns the name of a backup made at `secs` since 1970: `20261124T165503Z`. Later names sort behind.
pub fn name(secs: u64) -> String {
    let (days, rest) = (secs / 86400, secs % 86400);
    let (year, month, day) = date(days);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Returns whether this is the name of a whole backup.
pub fn is_name(name: &str) -> bool {
    let is_digits = |part: &str, len| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.strip_suffix('Z').and_then(|rest| rest.split_once('T'));
    parts.is_some_and(|(date, time)| is_digits(date, 8) && is_digits(time, 6))
}

/// Returns what of `names` is to be removed after `made` was made: the oldest beyond [`KEPT`], never `made` itself,
/// whatever the clock says, and what an interrupted backup left. Other names are somebody's own.
pub fn surplus(names: &[String], made: &str) -> Vec<String> {
    let mut others: Vec<&String> = names.iter().filter(|name| is_name(name) && *name != made).collect();
    others.sort();
    let n_surplus = (others.len() + 1).saturating_sub(KEPT);
    let leftovers = names.iter().filter(|name| name.strip_suffix(PARTIAL).is_some_and(is_name));
    others.into_iter().take(n_surplus).chain(leftovers).cloned().collect()
}

/// Year, month and day of a number of days since 1970, in years that begin in March.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + carry, month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_time() {
        assert_eq!(name(0), "19700101T000000Z");
        assert_eq!(name(951_782_400), "20000229T000000Z");
        assert_eq!(name(1_795_539_303), "20261124T165503Z");
        assert!(is_name(&name(1_795_539_303)));
        for other in ["20261124T165503", "20261124T165503Z.partial", "before-update", "", "2026112xT165503Z"]
        {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn the_newest_of_a_day_are_kept() {
        let names: Vec<String> = (1..=26).map(|hour| name(hour * 3600)).collect();
        assert_eq!(surplus(&names[..24], &names[23]), [""; 0]);
        assert_eq!(surplus(&names, &names[25]), names[..2]);
    }

    #[test]
    fn the_one_just_made_stays_though_the_clock_went_back() {
        let names: Vec<String> = (1..=25).map(|hour| name(hour * 3600)).collect();
        assert_eq!(surplus(&names, &names[0]), [names[1].clone()]);
    }

    #[test]
    fn what_an_interruption_left_goes_and_what_is_somebodys_own_stays() {
        let names = [name(0) + PARTIAL, "before-update".to_owned(), "x.partial".to_owned()];
        assert_eq!(surplus(&names, &name(9)), [name(0) + PARTIAL]);
    }
}

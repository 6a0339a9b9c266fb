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

/// Returns which of `backups`, names and bytes, go before the next one is made, so that `needed` bytes are free: oldest
/// first, and never the newest. `None` if that is not enough.
pub fn to_make_room(backups: &[(String, u64)], free: u64, needed: u64) -> Option<Vec<String>> {
    let mut known: Vec<_> = backups.iter().filter(|(name, _)| is_name(name)).collect();
    known.sort();
    known.pop();
    let (mut free, mut going) = (free, Vec::new());
    for (name, bytes) in known {
        if needed <= free {
            break;
        }
        free = free.saturating_add(*bytes);
        going.push(name.clone());
    }
    (needed <= free).then_some(going)
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

    #[test]
    fn the_oldest_make_room_and_the_newest_stays() {
        let backups: Vec<(String, u64)> = [2, 1, 3].map(|hour| (name(hour * 3600), 10)).into();
        let own = ("before-update".to_owned(), 1000);
        let all = [&backups[..], &[own]].concat();
        assert_eq!(to_make_room(&all, 50, 50), Some(vec![]));
        assert_eq!(to_make_room(&all, 45, 50), Some(vec![name(3600)]));
        assert_eq!(to_make_room(&all, 30, 50), Some(vec![name(3600), name(7200)]));
        assert_eq!(to_make_room(&all, 29, 50), None);
        assert_eq!(to_make_room(&[], 0, 1), None);
    }
}

//! Whether the host has the memory that the machines may take.

/// Returns a warning if machines of this size, in MiB, may take more than the host has; `meminfo` is what
/// proc_meminfo(5) describes. A host that does not say what it has gets none.
pub fn warning(machines: u8, memory_mib: u32, meminfo: &str) -> Option<String> {
    let wanted = u64::from(machines) * u64::from(memory_mib);
    let has = available_mib(meminfo).filter(|has| *has < wanted)?;
    Some(format!(
        "the machines may take {wanted} MiB and this host has {has} to spare: if it runs short, take fewer machines or \
         a lower --memory"
    ))
}

fn available_mib(meminfo: &str) -> Option<u64> {
    let row = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = row.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str =
        "MemTotal:       4031744 kB\nMemFree:         512 kB\nMemAvailable:    3145728 kB\n";

    #[test]
    fn machines_that_fit_are_no_reason_to_warn() {
        assert_eq!(warning(3, 1024, MEMINFO), None);
        assert_eq!(warning(9, 4096, "MemTotal: 1 kB\n"), None, "nothing is known");
        assert_eq!(warning(9, 4096, "MemAvailable: some kB\n"), None);
    }

    #[test]
    fn machines_that_do_not_fit_are_counted_together() {
        let said = warning(4, 1024, MEMINFO).unwrap();
        assert!(
            said.starts_with("the machines may take 4096 MiB and this host has 3072 to spare: "),
            "{said}"
        );
    }
}

//! Health check: a machine that had a default route at the last good boot has one now.

use agent_support::host::Host;

use super::Look;
use super::last_good::{Family, LastGood};

const IPV4_TABLE: &str = "/proc/net/route";
const IPV6_TABLE: &str = "/proc/net/ipv6_route";
/// The route is usable (include/uapi/linux/route.h).
const RTF_UP: u32 = 0x1;
/// The route is for packets that are to be dropped (the same file).
const RTF_REJECT: u32 = 0x200;

/// Checks that not every default route is lost. One family of two that is missing is only told: its routers may be
/// late or gone, and the machine can be reached.
pub fn check(look: &Look<'_>, seen: &mut LastGood) -> anyhow::Result<()> {
    seen.default_routes = default_routes(look.host)?;
    if let Some(warning) = judge(&look.last_good.default_routes, &seen.default_routes)? {
        println!("warning: route: {warning}");
    }
    Ok(())
}

/// Returns the families that have a default route now.
pub fn default_routes(host: &Host) -> anyhow::Result<Vec<Family>> {
    // A kernel without a family has no table of it.
    let ipv4 = host.read(IPV4_TABLE)?.is_some_and(|table| has_ipv4_default(&table));
    let ipv6 = host.read(IPV6_TABLE)?.is_some_and(|table| has_ipv6_default(&table));
    let found = [(ipv4, Family::Ipv4), (ipv6, Family::Ipv6)];
    Ok(found.into_iter().filter(|(has, _)| *has).map(|(_, family)| family).collect())
}

/// Returns a warning, if there is a reason for one.
fn judge(before: &[Family], now: &[Family]) -> anyhow::Result<Option<String>> {
    let lost: Vec<&str> = before.iter().filter(|family| !now.contains(family)).map(|f| name(*f)).collect();
    if lost.is_empty() {
        return Ok(None);
    }
    let what = format!("no default route for {}, which the last good boot had", lost.join(" and "));
    anyhow::ensure!(!now.is_empty(), "{what}");
    Ok(Some(what))
}

fn name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

/// Parses lines of `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, numbers in hexadecimal
/// (net/ipv4/fib_trie.c, `fib_route_seq_show`). The header has no such numbers.
fn has_ipv4_default(table: &str) -> bool {
    table.lines().any(|line| is_ipv4_default(line).unwrap_or(false))
}

fn is_ipv4_default(line: &str) -> Option<bool> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (destination, flags, mask) = (hex(fields.get(1)?)?, hex(fields.get(3)?)?, hex(fields.get(7)?)?);
    Some(destination == 0 && mask == 0 && is_usable(flags) && *fields.first()? != "lo")
}

/// Parses lines of `destination length source length next-hop metric refcnt use flags device`, numbers in
/// hexadecimal (net/ipv6/route.c, `rt6_info_route`).
fn has_ipv6_default(table: &str) -> bool {
    table.lines().any(|line| is_ipv6_default(line).unwrap_or(false))
}

fn is_ipv6_default(line: &str) -> Option<bool> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let is_any = fields.first()?.bytes().all(|byte| byte == b'0') && hex(fields.get(1)?)? == 0;
    let flags = hex(fields.get(8)?)?;
    // The kernel's own entry for "no route" is on `lo`.
    Some(is_any && is_usable(flags) && *fields.get(9)? != "lo")
}

fn is_usable(flags: u32) -> bool {
    flags & RTF_UP != 0 && flags & RTF_REJECT == 0
}

fn hex(field: &str) -> Option<u32> {
    u32::from_str_radix(field, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    const HEADER: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
    const DEFAULT: &str = "ens3\t00000000\t0202000A\t0003\t0\t0\t1024\t00000000\t0\t0\t0\n";
    const NETWORK: &str = "ens3\t0002000A\t00000000\t0001\t0\t0\t1024\t00FFFFFF\t0\t0\t0\n";
    const DEFAULT6: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
        fe800000000000000000000000000002 00000400 00000001 00000000 00000003     ens3\n";
    const NO_ROUTE6: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";
    const NETWORK6: &str = "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001     ens3\n";

    #[test]
    fn only_a_default_route_that_is_up_counts() {
        assert!(has_ipv4_default(&format!("{HEADER}{NETWORK}{DEFAULT}")));
        assert!(!has_ipv4_default(&format!("{HEADER}{NETWORK}")));
        let down = DEFAULT.replace("\t0003\t", "\t0002\t");
        let reject = DEFAULT.replace("\t0003\t", "\t0201\t");
        // Half of the addresses, as tunnels set it, is no default route.
        let half = DEFAULT.replace("\t1024\t00000000\t", "\t1024\t00000080\t");
        for table in ["", HEADER, "ens3\t00000000\n", "a b c d e f g h\n", &down, &reject, &half] {
            assert!(!has_ipv4_default(table), "{table}");
        }
    }

    #[test]
    fn the_kernels_own_entry_is_no_default_route() {
        assert!(has_ipv6_default(&format!("{NETWORK6}{DEFAULT6}{NO_ROUTE6}")));
        let on_a_device = NO_ROUTE6.replace("lo\n", "ens3\n");
        for table in ["", NETWORK6, NO_ROUTE6, "00000000000000000000000000000000 00\n", &on_a_device] {
            assert!(!has_ipv6_default(table), "{table}");
        }
    }

    #[test]
    fn missing_tables_are_no_routes() {
        let tree = Tree::new();
        assert_eq!(default_routes(&tree.host).unwrap(), []);
        tree.file(IPV4_TABLE, format!("{HEADER}{DEFAULT}"));
        assert_eq!(default_routes(&tree.host).unwrap(), [Family::Ipv4]);
        tree.file(IPV6_TABLE, DEFAULT6);
        assert_eq!(default_routes(&tree.host).unwrap(), [Family::Ipv4, Family::Ipv6]);
    }

    #[test]
    fn a_machine_that_lost_all_its_routes_is_ill() {
        use Family::{Ipv4, Ipv6};
        let err = judge(&[Ipv4, Ipv6], &[]).unwrap_err();
        assert_eq!(err.to_string(), "no default route for IPv4 and IPv6, which the last good boot had");
        assert!(judge(&[Ipv6], &[]).is_err());
    }

    #[test]
    fn what_the_last_good_boot_did_not_have_is_not_asked_for() {
        use Family::{Ipv4, Ipv6};
        for (before, now) in [(vec![], vec![]), (vec![], vec![Ipv4]), (vec![Ipv4], vec![Ipv4, Ipv6])] {
            assert_eq!(judge(&before, &now).unwrap(), None);
        }
    }

    #[test]
    fn one_lost_family_of_two_is_told() {
        let warning = judge(&[Family::Ipv4, Family::Ipv6], &[Family::Ipv4]).unwrap().unwrap();
        assert_eq!(warning, "no default route for IPv6, which the last good boot had");
    }
}

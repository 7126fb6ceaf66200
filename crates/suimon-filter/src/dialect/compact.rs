//! Profile `compact` in each dialect: what its lines can say, and its lines to its writer.

use super::{Dialect, Written, acl, flowspec, junos, mikrotik, nft, nokia, vrp};
use crate::compact::{self, Caps, CompactLine};
use crate::compile::{CompileError, Options, parts};
use crate::range::{Family, RangeSet};
use suimon_base::{Action, RuleSet};

/// What a line can say in this profile; `None` where the dialect has no such profile.
pub fn caps(dialect: Dialect, family: Family) -> Option<Caps> {
    let v4 = family == Family::V4;
    // Lists of ports, lengths and protocols, and no order: Flowspec, and with sets of addresses nftables.
    let sets = Caps {
        port_ranges: true,
        port_list: usize::MAX,
        port_sets: true,
        proto_sets: true,
        flag_bits: 0xff,
        lengths: true,
        length_sets: true,
        ..Caps::LEAST
    };
    // Terms and entries that name lists and are asked in order.
    let terms = Caps { permits: true, address_sets: true, ..sets };
    Some(match dialect {
        Dialect::Flowspec => sets,
        Dialect::Nftables => Caps { address_sets: true, port_protos: &[6, 17, 132, 136], ..sets },
        Dialect::CiscoIos => acl_caps(&acl::facts::IOS, family),
        Dialect::CiscoXr => acl_caps(&acl::facts::XR, family),
        Dialect::CiscoNxos => acl_caps(&acl::facts::NXOS, family),
        Dialect::AristaEos => acl_caps(&acl::facts::EOS, family),
        Dialect::HuaweiVrp => Caps { port_ranges: true, permits: true, later: v4, wildcards: v4, ..Caps::LEAST },
        Dialect::Junos => Caps { flag_bits: 0x3f, later: v4, ..terms },
        Dialect::NokiaSros => Caps {
            pairs_ports: true,
            lengths: v4,
            length_sets: false,
            port_protos: &[6, 17, 132],
            zero_takes_later: true,
            ..terms
        },
        Dialect::Mikrotik => {
            Caps { port_items: mikrotik::MAX_PORTS, proto_sets: false, length_sets: false, later: v4, ..terms }
        }
        Dialect::Rtbh => return None,
    })
}

fn acl_caps(facts: &acl::facts::Facts, family: Family) -> Caps {
    let v4 = family == Family::V4;
    let one_flag = facts.flags == acl::facts::Flags::OneSet;
    Caps {
        port_ranges: true,
        port_list: facts.eq_ports,
        port_sets: facts.groups.is_some_and(|g| g.ports.is_some()),
        flag_bits: if v4 || one_flag { 0x3f } else { 0 },
        one_flag,
        lengths: v4 && facts.lengths,
        permits: true,
        permit_takes_fragments: facts.permit_takes_fragments,
        wildcards: v4 && facts.wildcards,
        address_sets: facts.groups.is_some_and(|g| !g.nets[family as usize].is_empty()),
        ..Caps::LEAST
    }
}

/// The lines that drop, by family.
pub struct Drops {
    /// Permits first.
    pub lines: [Vec<CompactLine>; 2],
    /// No text has fewer of them.
    pub at_least: usize,
}

fn drops(rules: &RuleSet, dialect: Dialect) -> Result<Drops, CompileError> {
    // A hole before a rate would let what is limited pass, so permits come only where nothing is limited.
    let limited = rules.rules.iter().any(|r| matches!(r.action, Action::LimitPps(_) | Action::LimitBps(_)));
    let mut out = Drops { lines: [Vec::new(), Vec::new()], at_least: 0 };
    for family in Family::BOTH {
        let Some(mut caps) = caps(dialect, family) else {
            let reason =
                "a route is a destination and nothing else, so there is nothing to join: profile basic writes the \
                          fewest routes already"
                    .into();
            return Err(CompileError::Unsupported { dialect, rule: 0, reason });
        };
        caps.permits &= !limited;
        let boxes = parts(rules, family, dialect)?.discards;
        let found = compact::lines(family, &boxes, &caps).map_err(|reason| CompileError::Cover { dialect, reason })?;
        out.at_least += found.at_least;
        out.lines[family as usize] = found.lines;
    }
    Ok(out)
}

/// Text of the profile and the fewest lines that any text of it has.
///
/// # Errors
/// Where the dialect has no such profile, or the rules cannot be said.
pub fn write(rules: &RuleSet, dialect: Dialect, options: &Options) -> Result<(Written, usize), CompileError> {
    let drops = drops(rules, dialect)?;
    let mut written = match dialect {
        Dialect::CiscoIos => acl::write(&acl::facts::IOS, rules, options, Some(&drops))?,
        Dialect::CiscoXr => acl::write(&acl::facts::XR, rules, options, Some(&drops))?,
        Dialect::CiscoNxos => acl::write(&acl::facts::NXOS, rules, options, Some(&drops))?,
        Dialect::AristaEos => acl::write(&acl::facts::EOS, rules, options, Some(&drops))?,
        Dialect::HuaweiVrp => vrp::write(rules, options, Some(&drops))?,
        Dialect::Junos => junos::write(rules, options, Some(&drops))?,
        Dialect::NokiaSros => nokia::write(rules, options, Some(&drops))?,
        Dialect::Mikrotik => mikrotik::write(rules, options, Some(&drops))?,
        Dialect::Nftables => nft::write(rules, options, Some(&drops))?,
        Dialect::Flowspec | Dialect::Rtbh => flowspec::write(rules, options, Some(&drops))?,
    };
    let counted: usize = drops.lines.iter().map(Vec::len).sum();
    // What is written besides, a closing permit above all, is in every text.
    let at_least = drops.at_least + (written.lines - counted);
    written.least = at_least == written.lines;
    Ok((written, at_least))
}

/// A line that came out of the search and cannot be spelt.
pub fn cannot(dialect: Dialect, l: &CompactLine, what: &str) -> CompileError {
    CompileError::Unsupported {
        dialect,
        rule: l.order,
        reason: format!("the joined lines leave {what}: use profile basic"),
    }
}

/// The IPv4 address and the bits that may differ from it, where these say exactly the set.
pub fn wildcard(set: &RangeSet) -> Option<(u32, u32)> {
    let first = set.ranges().first()?.0;
    // Within a range every bit up to the highest that its ends differ in takes both values somewhere.
    let within = |&(lo, hi): &(u128, u128)| {
        let differ = lo ^ hi;
        let low = if differ == 0 { 0 } else { u128::MAX >> differ.leading_zeros() };
        (lo ^ first) | low
    };
    let free = set.ranges().iter().map(within).fold(0, |m, x| m | x);
    let (value, free) = (u32::try_from(first & !free).ok()?, u32::try_from(free).ok()?);
    (set.count() == 1u128 << free.count_ones()).then_some((value, free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_sets_of_free_bits() {
        assert_eq!(wildcard(&RangeSet::new([(0, 0), (4, 4)])), Some((0, 4)));
        assert_eq!(wildcard(&RangeSet::new([(8, 9), (12, 13)])), Some((8, 5)));
        assert_eq!(wildcard(&RangeSet::new([(0, 0), (3, 3)])), None);
        assert_eq!(wildcard(&RangeSet::new([(1, 2)])), None);
        assert_eq!(wildcard(&RangeSet::one(16, 31)), Some((16, 15)));
    }
}

//! Which information elements mean what to a flow record (IANA IPFIX registry; RFC 3954 §8 for the v9 numbers).

use crate::summary::Version;

/// Variable length in an IPFIX field specifier (RFC 7011 §7).
pub(crate) const VARIABLE: u16 = 0xffff;

/// One field of a template as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) id: u16,
    pub(crate) len: u16,
    /// Defined by an enterprise: none of those are used, RFC 5103's reverse elements included.
    pub(crate) enterprise: bool,
    /// A scope field of an options template.
    pub(crate) scope: bool,
}

/// What is done with a field. The order of the variants is the order in which a plan runs them: a later one may build
/// on what an earlier one left in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    SrcV4,
    DstV4,
    /// Written where it is not `::` or no IPv4 address was sent.
    SrcV6,
    DstV6,
    SrcPort,
    DstPort,
    Proto,
    Tos,
    TcpFlags,
    Bytes,
    Packets,
    InIf,
    OutIf,
    SrcAs,
    DstAs,
    Vlan,
    Icmp,
    /// The IPv6 twin beside an IPv4 one: written where not 0.
    Icmp6,
    IcmpType,
    IcmpType6,
    IcmpCode,
    IcmpCode6,
    /// Left in start and end for the uptime actions to add to.
    InitMs,
    StartUptime,
    EndUptime,
    StartMs,
    EndMs,
    StartMicro,
    EndMicro,
    StartNano,
    EndNano,
    StartSec,
    EndSec,
    StartDelta,
    EndDelta,
    FragmentFlags,
    FragmentOffset,
    Forwarding,
    Direction,
    SamplerId,
    /// One in N.
    Interval,
    /// N packets taken …
    PacketInterval,
    /// … then M left out: (N + M) / N.
    PacketSpace,
    /// n out of …
    SampleSize,
    /// … N.
    Population,
    /// Options only: a probability as a float.
    Probability,
    /// Options only: the interface that a rate holds for.
    Interface,
}

/// The place in a record that actions compete for; the best candidate of a template wins it.
pub(crate) type Slot = u8;

impl Action {
    pub(crate) const fn slot(self) -> Slot {
        use Action::*;
        match self {
            StartUptime | StartMs | StartMicro | StartNano | StartSec | StartDelta => StartMs as Slot,
            EndUptime | EndMs | EndMicro | EndNano | EndSec | EndDelta => EndMs as Slot,
            other => other as Slot,
        }
    }
    /// Whether `width` octets can hold this value.
    pub(crate) const fn takes(self, width: u16) -> bool {
        use Action::*;
        match self {
            SrcV4 | DstV4 => width == 4,
            SrcV6 | DstV6 => width == 16,
            StartMicro | EndMicro | StartNano | EndNano => width == 8,
            Probability => width == 4 || width == 8,
            _ => width >= 1 && width <= 8,
        }
    }
}

/// Candidates for a data record: action and rank (0 is best).
pub(crate) fn of_record(field: Field) -> [Option<(Action, u8)>; 2] {
    use Action::*;
    if field.enterprise {
        return [None, None];
    }
    let one = |action, rank| [Some((action, rank)), None];
    match field.id {
        8 => one(SrcV4, 0),
        12 => one(DstV4, 0),
        27 => one(SrcV6, 0),
        28 => one(DstV6, 0),
        7 => one(SrcPort, 0),
        180 | 182 => one(SrcPort, 1),
        11 => one(DstPort, 0),
        181 | 183 => one(DstPort, 1),
        4 => one(Proto, 0),
        5 => one(Tos, 0),
        6 => one(TcpFlags, 0),
        1 => one(Bytes, 0),
        23 => one(Bytes, 1),
        85 => one(Bytes, 2),
        231 => one(Bytes, 3),
        232 => one(Bytes, 4),
        352 => one(Bytes, 5),
        2 => one(Packets, 0),
        24 => one(Packets, 1),
        86 => one(Packets, 2),
        298 => one(Packets, 3),
        299 => one(Packets, 4),
        10 => one(InIf, 0),
        252 => one(InIf, 1),
        14 => one(OutIf, 0),
        253 => one(OutIf, 1),
        16 => one(SrcAs, 0),
        129 => one(SrcAs, 1),
        17 => one(DstAs, 0),
        128 => one(DstAs, 1),
        58 => one(Vlan, 0),
        243 => one(Vlan, 1),
        32 => one(Icmp, 0),
        139 => one(Icmp6, 0),
        176 => one(IcmpType, 0),
        177 => one(IcmpCode, 0),
        178 => one(IcmpType6, 0),
        179 => one(IcmpCode6, 0),
        160 => one(InitMs, 0),
        152 => one(StartMs, 0),
        153 => one(EndMs, 0),
        154 => one(StartMicro, 1),
        155 => one(EndMicro, 1),
        156 => one(StartNano, 2),
        157 => one(EndNano, 2),
        150 => one(StartSec, 3),
        151 => one(EndSec, 3),
        22 => one(StartUptime, 4),
        21 => one(EndUptime, 4),
        158 => one(StartDelta, 5),
        159 => one(EndDelta, 5),
        323 => [Some((StartMs, 6)), Some((EndMs, 6))],
        324 => [Some((StartMicro, 7)), Some((EndMicro, 7))],
        325 => [Some((StartNano, 8)), Some((EndNano, 8))],
        322 => [Some((StartSec, 9)), Some((EndSec, 9))],
        88 => one(FragmentOffset, 0),
        197 => one(FragmentFlags, 0),
        89 => one(Forwarding, 0),
        61 => one(Direction, 0),
        48 => one(SamplerId, 0),
        302 => one(SamplerId, 1),
        34 => one(Interval, 0),
        50 => one(Interval, 1),
        305 => one(PacketInterval, 0),
        306 => one(PacketSpace, 0),
        309 => one(SampleSize, 0),
        310 => one(Population, 0),
        _ => [None, None],
    }
}

/// Candidates for an options record: only what sampling and the IPFIX system start need.
pub(crate) fn of_option(version: Version, field: Field) -> [Option<(Action, u8)>; 2] {
    use Action::*;
    if field.enterprise {
        return [None, None];
    }
    // RFC 3954 §6.1: v9 scope types are numbers of their own; 2 is the interface.
    let interface = if version == Version::V9 { field.scope && field.id == 2 } else { field.scope && field.id == 10 };
    if interface {
        return [Some((Interface, 0)), None];
    }
    if version == Version::V9 && field.scope {
        return [None, None];
    }
    match field.id {
        311 => [Some((Probability, 0)), None],
        48 | 302 | 34 | 50 | 305 | 306 | 309 | 310 | 160 => of_record(field),
        _ => [None, None],
    }
}

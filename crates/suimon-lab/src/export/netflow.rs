//! NetFlow v9 (RFC 3954) and IPFIX (RFC 7011) datagrams.

use super::{CachedFlow, ExporterConfig, MAX_DATAGRAM_OCTETS, Put, REFRESH_MS, Selection};
use suimon_base::Timestamp;
use suimon_base::flow::Fragment;

const TEMPLATE_V4: u16 = 256;
const TEMPLATE_V6: u16 = 257;
const TEMPLATE_OPTIONS: u16 = 258;

/// Fields after the two addresses: IANA element and octets. Both protocols know these numbers.
const FIELDS: [(u16, u16); 16] = [
    (152, 8), // flowStartMilliseconds
    (153, 8), // flowEndMilliseconds
    (1, 8),   // octetDeltaCount
    (2, 4),   // packetDeltaCount
    (10, 4),  // ingressInterface
    (14, 4),  // egressInterface
    (7, 2),   // sourceTransportPort
    (11, 2),  // destinationTransportPort
    (0, 2),   // stands for icmpTypeCodeIPv4 (32) or icmpTypeCodeIPv6 (139)
    (88, 2),  // fragmentOffset
    (197, 1), // fragmentFlags
    (4, 1),   // protocolIdentifier
    (6, 1),   // tcpControlBits, reduced (RFC 7125 §3)
    (5, 1),   // ipClassOfService
    (61, 1),  // flowDirection
    (89, 1),  // forwardingStatus
];

/// Octets of a data record.
const RECORD_V4: usize = 58;
const RECORD_V6: usize = 82;

/// Largest set padding, octets.
const PADDING: usize = 3;

/// forwardingStatus (RFC 7270 §4.12): forwarded, unknown reason; dropped, by access list.
const FORWARDED: u8 = 64;
const DROPPED_ACL: u8 = 129;

/// Flow directions (IPFIX element 61).
const INGRESS: u8 = 0;

/// fragmentFlags (IPFIX element 197): more fragments follow.
const MORE_FRAGMENTS: u8 = 0x20;

/// Offset of later fragments in units of eight octets: behind a first one of 1,500 octets. Headers of the lab do not
/// keep the true offset.
pub(super) const LATER_OFFSET: u16 = 185;

#[derive(Debug)]
pub(super) struct Netflow {
    ipfix: bool,
    domain: u32,
    sampling: u32,
    random: bool,
    customer_if: u32,
    epoch: Timestamp,
    sequence: u32,
    refreshed_us: Option<u64>,
}

/// A datagram that is being filled.
struct Draft {
    bytes: Vec<u8>,
    /// Start and id of the set that is open.
    set: Option<(usize, u16)>,
    /// Records for the v9 header's count, and data records for the IPFIX sequence.
    records: u16,
    data_records: u32,
}

impl Netflow {
    pub(super) fn new(config: &ExporterConfig, epoch: Timestamp, ipfix: bool) -> Self {
        Netflow {
            ipfix,
            domain: config.domain,
            sampling: config.sampling,
            random: matches!(config.selection, Selection::Random(_)),
            customer_if: config.customer_if,
            epoch,
            sequence: 0,
            refreshed_us: None,
        }
    }

    /// Datagrams for these flows; templates come first when they are due, also where there are no flows.
    pub(super) fn encode(&mut self, at_us: u64, now: Timestamp, flows: &[CachedFlow]) -> Vec<Vec<u8>> {
        let due = self.refreshed_us.is_none_or(|t| at_us.saturating_sub(t) >= REFRESH_MS * 1_000);
        if flows.is_empty() && !due {
            return Vec::new();
        }
        let mut out = Vec::new();
        let mut draft = self.begin();
        if due {
            self.refreshed_us = Some(at_us);
            self.put_templates(&mut draft);
        }
        for flow in flows {
            let v6 = flow.key.src.is_ipv6();
            let (id, size) = if v6 { (TEMPLATE_V6, RECORD_V6) } else { (TEMPLATE_V4, RECORD_V4) };
            let header = if draft.set.is_some_and(|s| s.1 == id) { 0 } else { 4 + PADDING };
            if draft.bytes.len() + header + size + PADDING > MAX_DATAGRAM_OCTETS {
                out.push(self.finish(draft, now));
                draft = self.begin();
            }
            draft.open(id);
            self.put_record(&mut draft, flow);
        }
        if draft.records > 0 {
            out.push(self.finish(draft, now));
        }
        out
    }

    fn begin(&self) -> Draft {
        let mut bytes = Vec::with_capacity(MAX_DATAGRAM_OCTETS);
        bytes.resize(if self.ipfix { 16 } else { 20 }, 0);
        Draft { bytes, set: None, records: 0, data_records: 0 }
    }

    fn finish(&mut self, mut draft: Draft, now: Timestamp) -> Vec<u8> {
        draft.close();
        let mut header = Vec::with_capacity(20);
        let seconds = u32::try_from(now.as_secs()).unwrap_or(0);
        if self.ipfix {
            header.u16(10);
            header.u16(draft.bytes.len() as u16);
            header.u32(seconds);
            header.u32(self.sequence);
            // RFC 7011 §3.1: data records sent before this message.
            self.sequence = self.sequence.wrapping_add(draft.data_records);
        } else {
            header.u16(9);
            header.u16(draft.records);
            header.u32(now.ms_since(self.epoch).max(0) as u32);
            header.u32(seconds);
            header.u32(self.sequence);
            // RFC 3954 §5.1: datagrams sent before this one.
            self.sequence = self.sequence.wrapping_add(1);
        }
        header.u32(self.domain);
        if let Some(place) = draft.bytes.get_mut(..header.len()) {
            place.copy_from_slice(&header);
        }
        draft.bytes
    }

    fn put_templates(&self, draft: &mut Draft) {
        draft.open(if self.ipfix { 2 } else { 0 });
        for (id, addresses, size, icmp) in [(TEMPLATE_V4, (8, 12), 4, 32), (TEMPLATE_V6, (27, 28), 16, 139)] {
            draft.bytes.u16(id);
            draft.bytes.u16(FIELDS.len() as u16 + 2);
            for (field, len) in [(addresses.0, size), (addresses.1, size)].into_iter().chain(FIELDS) {
                draft.bytes.u16(if field == 0 { icmp } else { field });
                draft.bytes.u16(len);
            }
            draft.records += 1;
        }
        if self.ipfix {
            self.put_sampling_ipfix(draft)
        } else {
            self.put_sampling_v9(draft)
        }
        draft.close();
    }

    fn put_sampling_v9(&self, draft: &mut Draft) {
        draft.open(1);
        draft.bytes.u16(TEMPLATE_OPTIONS);
        draft.bytes.u16(4); // octets of scope fields
        draft.bytes.u16(8); // octets of option fields
        for (field, len) in [(1, 4), (34, 4), (35, 1)] {
            draft.bytes.u16(field); // scope System, samplingInterval, samplingAlgorithm
            draft.bytes.u16(len);
        }
        draft.records += 1;
        draft.open(TEMPLATE_OPTIONS);
        draft.bytes.u32(self.domain);
        draft.bytes.u32(self.sampling);
        draft.bytes.u8(if self.random { 2 } else { 1 });
        draft.records += 1;
    }

    fn put_sampling_ipfix(&self, draft: &mut Draft) {
        draft.open(3);
        draft.bytes.u16(TEMPLATE_OPTIONS);
        draft.bytes.u16(4);
        draft.bytes.u16(1); // one scope field: observationDomainId
        // selectorAlgorithm 1 (systematic count-based) with interval and space, 3 (random n-out-of-N) with n and N.
        let (algorithm, names, values) =
            if self.random { (3, (309, 310), (1, self.sampling)) } else { (1, (305, 306), (1, self.sampling - 1)) };
        for (field, len) in [(149, 4), (304, 2), (names.0, 4), (names.1, 4)] {
            draft.bytes.u16(field);
            draft.bytes.u16(len);
        }
        draft.records += 1;
        draft.open(TEMPLATE_OPTIONS);
        draft.bytes.u32(self.domain);
        draft.bytes.u16(algorithm);
        draft.bytes.u32(values.0);
        draft.bytes.u32(values.1);
        draft.records += 1;
        draft.data_records += 1;
    }

    fn put_record(&self, draft: &mut Draft, flow: &CachedFlow) {
        let k = &flow.key;
        let ms = |us: u64| {
            let at = self.epoch.as_micros().saturating_add_unsigned(us);
            Timestamp::from_micros(at).as_millis().max(0) as u64
        };
        let out = &mut draft.bytes;
        out.addr(k.src);
        out.addr(k.dst);
        out.u64(ms(flow.first_us));
        out.u64(ms(flow.last_us));
        out.u64(flow.octets);
        out.u32(u32::try_from(flow.packets).unwrap_or(u32::MAX));
        out.u32(k.in_if);
        out.u32(if k.forwarded { self.customer_if } else { 0 });
        out.u16(k.ports.0);
        out.u16(k.ports.1);
        out.u16(k.icmp);
        out.u16(if k.fragment == Fragment::Later { LATER_OFFSET } else { 0 });
        out.u8(if k.fragment == Fragment::First { MORE_FRAGMENTS } else { 0 });
        out.u8(k.proto);
        out.u8(k.tcp_flags);
        out.u8(k.tos);
        out.u8(INGRESS);
        out.u8(if k.forwarded { FORWARDED } else { DROPPED_ACL });
        draft.records += 1;
        draft.data_records += 1;
    }
}

impl Draft {
    /// Opens a set with this id, unless it is open already.
    fn open(&mut self, id: u16) {
        if self.set.is_some_and(|s| s.1 == id) {
            return;
        }
        self.close();
        self.set = Some((self.bytes.len(), id));
        self.bytes.u16(id);
        self.bytes.u16(0);
    }

    /// Pads the open set to four octets and writes its length.
    fn close(&mut self) {
        let Some((start, _)) = self.set.take() else { return };
        while !(self.bytes.len() - start).is_multiple_of(4) {
            self.bytes.push(0);
        }
        let length = (self.bytes.len() - start) as u16;
        self.bytes.set_u16(start + 2, length);
    }
}

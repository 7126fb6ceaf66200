//! One flow as an exporter told it, in one shape for every protocol (catalogue rows 53–55, 59).

use crate::Timestamp;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Where the sampling rate of a record comes from, most specific last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplingSource {
    /// Nothing said so: rate 1 is assumed and evidence says it is an assumption.
    #[default]
    Assumed,
    /// The operator's configuration for this exporter.
    Config,
    /// The datagram's header (NetFlow v5) or the sample itself (sFlow).
    Header,
    /// Options data of this exporter and domain (RFC 3954 §6.1, RFC 7011 §3.4.2.2).
    Options,
    /// The flow record itself.
    Record,
}

/// One in `rate` packets was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sampling {
    /// Packets of the population per sampled packet; 1 means unsampled. Never 0.
    pub rate: u32,
    /// Who said so.
    pub source: SamplingSource,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { rate: 1, source: SamplingSource::Assumed }
    }
}

/// Which part of a fragmented datagram the packets of a flow are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fragment {
    /// The exporter did not say.
    #[default]
    Unknown,
    /// Not fragmented.
    Whole,
    /// Offset 0 with more to follow: carries ports.
    First,
    /// Offset above 0: carries no ports.
    Later,
}

/// At which side of the router the flow was metered (IPFIX element 61).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metered {
    /// The exporter did not say.
    #[default]
    Unknown,
    /// Where packets enter the router.
    Ingress,
    /// Where packets leave the router.
    Egress,
}

/// What the router did with the packets (IPFIX element 89, RFC 7270 §4.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarding {
    /// The exporter did not say.
    #[default]
    Unknown,
    /// Passed on.
    Forwarded,
    /// Dropped, by a filter or otherwise.
    Dropped,
    /// Kept by the router itself.
    Consumed,
}

/// Bits of [`FlowRecord::present`]: which facts the exporter really sent.
pub mod present {
    /// Source address.
    pub const SRC: u16 = 1 << 0;
    /// Destination address.
    pub const DST: u16 = 1 << 1;
    /// Source or destination port.
    pub const PORTS: u16 = 1 << 2;
    /// Protocol.
    pub const PROTO: u16 = 1 << 3;
    /// Octet count.
    pub const BYTES: u16 = 1 << 4;
    /// Packet count.
    pub const PACKETS: u16 = 1 << 5;
    /// TCP flags.
    pub const TCP_FLAGS: u16 = 1 << 6;
    /// Start or end of the flow.
    pub const TIMES: u16 = 1 << 7;
    /// Input or output interface.
    pub const IFS: u16 = 1 << 8;
    /// ICMP type and code.
    pub const ICMP: u16 = 1 << 9;
}

/// One flow. Counters are as exported: multiply by [`Sampling::rate`] for an estimate of what passed.
///
/// Addresses and ports are under the secrecy of communications: `Debug` prints a tag, and a record leaves the process
/// only through a measure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FlowRecord {
    /// Source address; `0.0.0.0` where [`present::SRC`] is unset.
    pub src: IpAddr,
    /// Destination address; `0.0.0.0` where [`present::DST`] is unset.
    pub dst: IpAddr,
    /// First packet; [`Timestamp::ZERO`] where [`present::TIMES`] is unset.
    pub start: Timestamp,
    /// Last packet; [`Timestamp::ZERO`] where [`present::TIMES`] is unset.
    pub end: Timestamp,
    /// Octets as exported (layer 3 for NetFlow and IPFIX; IP length for sFlow headers).
    pub bytes: u64,
    /// Packets as exported.
    pub packets: u64,
    /// SNMP index of the interface packets came in by; 0 is unknown.
    pub in_if: u32,
    /// SNMP index of the interface packets left by; 0 is unknown or none.
    pub out_if: u32,
    /// Origin or peer AS of the source; 0 is unknown.
    pub src_as: u32,
    /// Origin or peer AS of the destination; 0 is unknown.
    pub dst_as: u32,
    /// Source port, 0 for protocols without ports.
    pub src_port: u16,
    /// Destination port, 0 for protocols without ports.
    pub dst_port: u16,
    /// ICMP type × 256 + code.
    pub icmp: u16,
    /// Outer VLAN id, 0 for none.
    pub vlan: u16,
    /// IP protocol number (IANA).
    pub proto: u8,
    /// Union of the TCP flags seen, low octet (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32).
    pub tcp_flags: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// Which facts were sent; see [`present`].
    pub present: u16,
    /// Fragmentation.
    pub fragment: Fragment,
    /// Side of metering.
    pub metered: Metered,
    /// Fate of the packets.
    pub forwarding: Forwarding,
    /// Sampling behind the counters.
    pub sampling: Sampling,
}

impl Default for FlowRecord {
    fn default() -> Self {
        FlowRecord {
            src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            start: Timestamp::ZERO,
            end: Timestamp::ZERO,
            bytes: 0,
            packets: 0,
            in_if: 0,
            out_if: 0,
            src_as: 0,
            dst_as: 0,
            src_port: 0,
            dst_port: 0,
            icmp: 0,
            vlan: 0,
            proto: 0,
            tcp_flags: 0,
            tos: 0,
            present: 0,
            fragment: Fragment::Unknown,
            metered: Metered::Unknown,
            forwarding: Forwarding::Unknown,
            sampling: Sampling::default(),
        }
    }
}

impl FlowRecord {
    /// The record of one packet seen at `at`, as an unsampled meter would export it.
    pub fn of_packet(h: &crate::PacketHeader, at: Timestamp) -> Self {
        let (src_port, dst_port) = h.ports.unwrap_or_default();
        FlowRecord {
            src: h.src,
            dst: h.dst,
            src_port,
            dst_port,
            proto: h.proto,
            tcp_flags: h.tcp_flags,
            icmp: h.icmp,
            fragment: h.fragment,
            tos: h.tos,
            bytes: u64::from(h.ip_len),
            packets: 1,
            start: at,
            end: at,
            present: present::SRC
                | present::DST
                | present::PORTS
                | present::PROTO
                | present::BYTES
                | present::PACKETS
                | present::TCP_FLAGS
                | present::TIMES,
            sampling: Sampling { rate: 1, source: SamplingSource::Record },
            ..FlowRecord::default()
        }
    }

    /// Whether the exporter sent this fact (a bit of [`present`]).
    pub const fn has(&self, bit: u16) -> bool {
        self.present & bit != 0
    }
    /// Estimated packets that passed: exported packets × sampling rate, saturating.
    pub const fn packets_estimated(&self) -> u64 {
        self.packets.saturating_mul(self.sampling.rate as u64)
    }
    /// Estimated octets that passed: exported octets × sampling rate, saturating.
    pub const fn bytes_estimated(&self) -> u64 {
        self.bytes.saturating_mul(self.sampling.rate as u64)
    }
    /// Length of the flow in milliseconds; 0 where times are unknown or reversed.
    pub const fn duration_ms(&self) -> i64 {
        let ms = self.end.ms_since(self.start);
        if self.has(present::TIMES) && ms > 0 { ms } else { 0 }
    }
    /// Whether [`FlowRecord::duration_ms`] is above `ms`, without the division.
    #[inline]
    pub const fn lasts_longer(&self, ms: u64) -> bool {
        let us = self.end.as_micros().saturating_sub(self.start.as_micros());
        self.has(present::TIMES) && us > 0 && us as u64 / 1_000 > ms
    }
}

impl fmt::Debug for FlowRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlowRecord(<protected>)")
    }
}

/// Who exported: the address datagrams came from and the observation domain (IPFIX), source id (v9), engine (v5) or
/// sub-agent (sFlow). Templates and sampling are kept per key (RFC 7011 §3.1, RFC 3954 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExporterKey {
    /// Address of the exporter.
    pub addr: IpAddr,
    /// Domain, source id, engine or sub-agent.
    pub domain: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_leak_addresses() {
        let r = FlowRecord { src: "192.0.2.1".parse().unwrap(), ..Default::default() };
        assert!(!format!("{r:?}").contains("192.0.2"));
    }
}

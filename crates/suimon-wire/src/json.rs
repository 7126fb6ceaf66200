//! One flow as one JSON object, for people and scripts (`suimon decode`).

use serde::Serialize;
use std::net::IpAddr;
use suimon_base::Timestamp;
use suimon_base::flow::{ExporterKey, FlowRecord, Sampling, present};

/// A flow with `null` for every fact that the exporter did not send. Counters are as exported; `sampling` says by what
/// they are to be multiplied and who said so.
#[derive(Clone, Debug, Serialize)]
pub struct FlowJson {
    /// Source address.
    pub src: Option<IpAddr>,
    /// Destination address.
    pub dst: Option<IpAddr>,
    /// Source port; `null` for protocols without ports.
    pub src_port: Option<u16>,
    /// Destination port; `null` for protocols without ports.
    pub dst_port: Option<u16>,
    /// IP protocol number (IANA).
    pub proto: Option<u8>,
    /// Octets as exported.
    pub bytes: Option<u64>,
    /// Packets as exported.
    pub packets: Option<u64>,
    /// Union of TCP flags, low octet.
    pub tcp_flags: Option<u8>,
    /// SNMP index of the interface of entry.
    pub in_if: Option<u32>,
    /// SNMP index of the interface of exit.
    pub out_if: Option<u32>,
    /// Packets per sampled packet, and who said so.
    pub sampling: Sampling,
    /// Address that the datagram came from.
    pub exporter: IpAddr,
    /// First packet, RFC 3339 with milliseconds.
    pub start: Option<Timestamp>,
    /// Last packet, RFC 3339 with milliseconds.
    pub end: Option<Timestamp>,
}

impl FlowJson {
    /// The flow as `key` exported it.
    pub fn new(key: ExporterKey, flow: &FlowRecord) -> Self {
        let time = |t: Timestamp| Some(t).filter(|t| flow.has(present::TIMES) && *t != Timestamp::ZERO);
        FlowJson {
            src: flow.has(present::SRC).then_some(flow.src),
            dst: flow.has(present::DST).then_some(flow.dst),
            src_port: flow.has(present::PORTS).then_some(flow.src_port),
            dst_port: flow.has(present::PORTS).then_some(flow.dst_port),
            proto: flow.has(present::PROTO).then_some(flow.proto),
            bytes: flow.has(present::BYTES).then_some(flow.bytes),
            packets: flow.has(present::PACKETS).then_some(flow.packets),
            tcp_flags: flow.has(present::TCP_FLAGS).then_some(flow.tcp_flags),
            in_if: flow.has(present::IFS).then_some(flow.in_if),
            out_if: flow.has(present::IFS).then_some(flow.out_if),
            sampling: flow.sampling,
            exporter: key.addr,
            start: time(flow.start),
            end: time(flow.end),
        }
    }
}

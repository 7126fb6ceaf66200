//! What the header of a datagram says about all of its records.

use crate::summary::Version;
use suimon_base::Timestamp;

/// How milliseconds of uptime become a time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Uptime {
    /// NetFlow: the header has both clocks.
    Header { now_us: i64, uptime_ms: u32 },
    /// IPFIX: options data told when the exporter started.
    Since { boot_us: i64 },
    /// Nothing did.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) version: Version,
    pub(crate) received: Timestamp,
    /// Export time of the header, microseconds since 1970.
    pub(crate) export_us: i64,
    pub(crate) uptime: Uptime,
}

//! What one datagram gave, and what one exporter gave so far.

use crate::DecodeError;
use suimon_base::flow::ExporterKey;

/// Which protocol a datagram speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// NetFlow version 5.
    V5,
    /// NetFlow version 9 (RFC 3954).
    V9,
    /// IPFIX (RFC 7011).
    Ipfix,
    /// sFlow version 5.
    Sflow5,
}

/// What one datagram gave.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Protocol.
    pub version: Version,
    /// Who exported.
    pub key: ExporterKey,
    /// Flows handed to the sink, released held ones included.
    pub flows: u32,
    /// Templates or sampling rates changed: other workers should [`crate::Decoder::learn`] this datagram.
    pub learned: bool,
    /// Data sets held because their template is not known yet.
    pub held: u32,
    /// Sets or samples that were malformed; what stood before them was decoded.
    pub malformed: u32,
    /// The first of them.
    pub first_error: Option<DecodeError>,
}

impl Summary {
    pub(crate) fn new(version: Version, key: ExporterKey) -> Self {
        Summary { version, key, flows: 0, learned: false, held: 0, malformed: 0, first_error: None }
    }
    /// Counts a malformed part and keeps the first error.
    pub(crate) fn fault(&mut self, error: DecodeError) {
        self.malformed += 1;
        self.first_error.get_or_insert(error);
    }
}

/// Counters of one exporter key since it was first heard. They only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExporterCounters {
    /// Datagrams with a readable header.
    pub datagrams: u64,
    /// Flows decoded.
    pub flows: u64,
    /// Units missing by sequence number: flows for NetFlow v5, datagrams for v9 and sFlow, data records for IPFIX.
    pub sequence_gaps: u64,
    /// Units that came late, after they were counted as missing. Lost = `sequence_gaps - sequence_late`.
    pub sequence_late: u64,
    /// Times the sequence jumped too far to be loss (exporter restarted).
    pub sequence_resets: u64,
    /// Data sets whose template was not known when they came.
    pub unknown_template_sets: u64,
    /// Of those, how many were held for later.
    pub held: u64,
    /// Held or holdable sets given up because a bound or [`crate::Limits::held_ms`] was reached.
    pub held_dropped: u64,
    /// Malformed sets, samples and datagrams (those whose header named this key).
    pub malformed: u64,
    /// Templates whose layout changed while in use.
    pub template_changes: u64,
    /// Templates refused because a bound was reached.
    pub templates_refused: u64,
    /// Templates withdrawn (IPFIX).
    pub templates_withdrawn: u64,
    /// Records of options data.
    pub options_records: u64,
    /// Samplers refused because [`crate::Limits::samplers_per_exporter`] was reached.
    pub samplers_refused: u64,
    /// sFlow counter samples.
    pub counter_samples: u64,
    /// sFlow samples of unknown type, skipped.
    pub unknown_samples: u64,
    /// sFlow flow samples in which no IP header was found.
    pub samples_without_ip: u64,
    /// Packets that an sFlow agent says it could not sample for lack of resources (its `drops`), as last reported.
    pub agent_drops: u64,
}

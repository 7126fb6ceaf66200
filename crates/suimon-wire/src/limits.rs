//! Bounds on everything that an exporter, or a stranger who forges its address, can make grow.

/// Exporter keys (address and domain) kept at once.
pub const EXPORTERS: usize = 4_096;
/// Domains, source ids, engines or sub-agents kept for one address.
pub const DOMAINS_PER_ADDRESS: usize = 256;
/// Templates kept for one exporter key, both NetFlow v9 and IPFIX.
pub const TEMPLATES_PER_EXPORTER: usize = 1_024;
/// Octets of compiled templates kept over all exporters.
pub const TEMPLATE_BYTES: usize = 64 << 20;
/// Fields in one template.
pub const FIELDS_PER_TEMPLATE: usize = 1_024;
/// Octets of data sets held for one exporter key until their template comes.
pub const HELD_BYTES_PER_EXPORTER: usize = 256 << 10;
/// Octets of data sets held over all exporters.
pub const HELD_BYTES: usize = 32 << 20;
/// Milliseconds after which held data is too old to be of use.
pub const HELD_MS: i64 = 10 * 60 * 1_000;
/// Samplers and sampled interfaces kept for one exporter key.
pub const SAMPLERS_PER_EXPORTER: usize = 1_024;
/// Milliseconds of silence after which an exporter key may make room for a new one.
pub const EXPORTER_IDLE_MS: i64 = 30 * 60 * 1_000;
/// Samples in one sFlow datagram; the smallest sample has 8 octets, so a UDP datagram never holds more than this.
pub const SFLOW_SAMPLES: usize = 8_192;

/// The bounds of one [`crate::Decoder`]. `Default` is sized for a few hundred routers and some 100 MiB in the worst case.
#[derive(Clone, Debug)]
pub struct Limits {
    /// See [`EXPORTERS`].
    pub exporters: usize,
    /// See [`DOMAINS_PER_ADDRESS`].
    pub domains_per_address: usize,
    /// See [`TEMPLATES_PER_EXPORTER`].
    pub templates_per_exporter: usize,
    /// See [`TEMPLATE_BYTES`].
    pub template_bytes: usize,
    /// See [`FIELDS_PER_TEMPLATE`].
    pub fields_per_template: usize,
    /// See [`HELD_BYTES_PER_EXPORTER`].
    pub held_bytes_per_exporter: usize,
    /// See [`HELD_BYTES`].
    pub held_bytes: usize,
    /// See [`HELD_MS`].
    pub held_ms: i64,
    /// See [`SAMPLERS_PER_EXPORTER`].
    pub samplers_per_exporter: usize,
    /// See [`EXPORTER_IDLE_MS`].
    pub exporter_idle_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            exporters: EXPORTERS,
            domains_per_address: DOMAINS_PER_ADDRESS,
            templates_per_exporter: TEMPLATES_PER_EXPORTER,
            template_bytes: TEMPLATE_BYTES,
            fields_per_template: FIELDS_PER_TEMPLATE,
            held_bytes_per_exporter: HELD_BYTES_PER_EXPORTER,
            held_bytes: HELD_BYTES,
            held_ms: HELD_MS,
            samplers_per_exporter: SAMPLERS_PER_EXPORTER,
            exporter_idle_ms: EXPORTER_IDLE_MS,
        }
    }
}

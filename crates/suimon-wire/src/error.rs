//! What can be wrong with a datagram, and where.

/// Why a datagram, or a part of it, could not be read. Every variant carries the octet offset from the datagram's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer octets than a fixed part needs.
    #[error("offset {offset}: {needed} octets needed, {available} there")]
    Truncated {
        /// Octets from the datagram's start.
        offset: usize,
        /// Octets that the part needs.
        needed: usize,
        /// Octets that are left.
        available: usize,
    },
    /// Neither NetFlow v5, v9, IPFIX nor sFlow v5.
    #[error("offset {offset}: version {version} is none of NetFlow 5, 9, IPFIX 10 and sFlow 5")]
    UnknownVersion {
        /// Octets from the datagram's start.
        offset: usize,
        /// What stands in the version field.
        version: u32,
    },
    /// A length field contradicts what surrounds it.
    #[error("offset {offset}: {what} length {length} does not fit")]
    BadLength {
        /// Octets from the datagram's start.
        offset: usize,
        /// Which length.
        what: &'static str,
        /// The length as sent, octets.
        length: usize,
    },
    /// A template with more fields than [`crate::Limits::fields_per_template`].
    #[error("offset {offset}: template {id} has {fields} fields, more than {limit}")]
    TooManyFields {
        /// Octets from the datagram's start.
        offset: usize,
        /// Template id.
        id: u16,
        /// Fields as sent.
        fields: usize,
        /// The limit.
        limit: usize,
    },
    /// No room for another template: the exporter's or the decoder's limit is reached.
    #[error("offset {offset}: no room for template {id}")]
    TooManyTemplates {
        /// Octets from the datagram's start.
        offset: usize,
        /// Template id.
        id: u16,
    },
    /// No room for another exporter key; see [`crate::Limits::exporters`].
    #[error("offset {offset}: no room for another exporter (limit {limit})")]
    TooManyExporters {
        /// Octets from the datagram's start (that of the domain).
        offset: usize,
        /// The limit, keys.
        limit: usize,
    },
    /// A template id below 256 where a template is defined, or a reserved set id.
    #[error("offset {offset}: id {id} is reserved")]
    ReservedId {
        /// Octets from the datagram's start.
        offset: usize,
        /// The id.
        id: u16,
    },
    /// Data for a template whose records have no length: they cannot be counted.
    #[error("offset {offset}: records of template {id} have no length")]
    EmptyRecord {
        /// Octets from the datagram's start.
        offset: usize,
        /// Template id.
        id: u16,
    },
    /// A count field larger than what can follow.
    #[error("offset {offset}: {what} count {count} does not fit")]
    BadCount {
        /// Octets from the datagram's start.
        offset: usize,
        /// Which count.
        what: &'static str,
        /// The count as sent.
        count: usize,
    },
}

impl DecodeError {
    /// Octets from the datagram's start to the place that is wrong.
    pub const fn offset(&self) -> usize {
        match *self {
            DecodeError::Truncated { offset, .. }
            | DecodeError::UnknownVersion { offset, .. }
            | DecodeError::BadLength { offset, .. }
            | DecodeError::TooManyFields { offset, .. }
            | DecodeError::TooManyTemplates { offset, .. }
            | DecodeError::TooManyExporters { offset, .. }
            | DecodeError::ReservedId { offset, .. }
            | DecodeError::EmptyRecord { offset, .. }
            | DecodeError::BadCount { offset, .. } => offset,
        }
    }
}

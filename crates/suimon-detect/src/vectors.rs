//! The vector table: what each kind of attack traffic looks like. Data, read from `vectors.toml`.

use crate::config::ConfigError;
use serde::Deserialize;
use suimon_base::Vector;
use suimon_base::flow::{FlowRecord, Fragment};
use suimon_base::rule::TcpFlags;

/// The committed table.
pub const BUILT_IN: &str = include_str!("../vectors.toml");

/// Every vector in the order of [`Vector`]; the position is its index inside the detector.
pub(crate) const ALL: [Vector; COUNT] = [
    Vector::Syn,
    Vector::SynAck,
    Vector::AckRst,
    Vector::TcpOther,
    Vector::DnsReflection,
    Vector::NtpReflection,
    Vector::SsdpReflection,
    Vector::CldapReflection,
    Vector::SnmpReflection,
    Vector::MemcachedReflection,
    Vector::ChargenReflection,
    Vector::WsDiscoveryReflection,
    Vector::ArmsReflection,
    Vector::IkeReflection,
    Vector::DvrReflection,
    Vector::Fragments,
    Vector::Icmp,
    Vector::Gre,
    Vector::UdpOther,
    Vector::OtherProtocol,
    Vector::Total,
];
/// Number of vectors, [`Vector::Total`] included.
pub(crate) const COUNT: usize = 21;
/// Index of [`Vector::Total`].
pub(crate) const TOTAL: u8 = 20;
/// Index of [`Vector::OtherProtocol`].
const OTHER: u8 = 19;
/// Instead of a vector's index: the rows have to be asked.
const ASK: u8 = u8::MAX;
/// Format this program reads.
const VERSION: u32 = 1;

/// The vector with this index; [`Vector::Total`] for an index beyond the table.
pub(crate) fn name(index: u8) -> Vector {
    ALL.get(usize::from(index)).copied().unwrap_or(Vector::Total)
}

/// One row of the table. See the head of `vectors.toml` for the fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VectorRow {
    /// The vector a fitting flow is named.
    pub vector: Vector,
    /// IP protocols; empty is any.
    #[serde(default)]
    pub proto: Vec<u8>,
    /// UDP source ports; empty is any.
    #[serde(default)]
    pub src_ports: Vec<u16>,
    /// Condition on the union of a flow's TCP flags.
    pub flags: Option<TcpFlags>,
    /// TCP flags of one packet of the vector.
    #[serde(rename = "match")]
    pub match_flags: Option<TcpFlags>,
    /// Only these fragments.
    pub fragment: Option<Fragment>,
    /// Smallest mean packet length in octets.
    pub min_len: Option<u16>,
    /// Largest mean packet length in octets.
    pub max_len: Option<u16>,
    /// Whether senders are real hosts answering forged requests.
    #[serde(default)]
    pub reflection: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    vectors: Vec<VectorRow>,
}

/// The table, compiled so that naming a flow costs a few look-ups.
#[derive(Clone)]
pub struct VectorTable {
    rows: Vec<VectorRow>,
    /// Tests to ask by protocol and, for UDP, by whether the source port has rows of its own.
    by_proto: Vec<Vec<Test>>,
    /// The vector of an unfragmented TCP flow by its flags, [`ASK`] where its length decides too.
    by_flags: Box<[u8; 256]>,
    /// The vector of an unfragmented UDP flow from a port without rows, [`ASK`] where something else decides too.
    plain_udp: u8,
    /// Whether a port may have rows: a table of all ports would not stay in the nearest cache.
    may_name: [u64; 4],
    /// Ports with rows, in order, and their tests.
    ports: Vec<u16>,
    port_rows: Vec<Vec<Test>>,
}

/// What is left to ask of a row once protocol and port fit, in one piece of memory.
#[derive(Clone, Copy)]
struct Test {
    /// A flow's flags under the mask must be the value; flags that were not sent are 0, which no asked-for value is.
    mask: u8,
    value: u8,
    fragment: Option<Fragment>,
    /// Bounds of the mean length in octets, where the row has any.
    lengths: Option<(u16, u16)>,
    vector: u8,
}

impl Test {
    fn of(r: &VectorRow) -> Self {
        let bounded = r.min_len.is_some() || r.max_len.is_some();
        Test {
            mask: r.flags.map_or(0, |f| f.mask),
            value: r.flags.map_or(0, |f| f.value),
            fragment: r.fragment,
            lengths: bounded.then(|| (r.min_len.unwrap_or(0), r.max_len.unwrap_or(u16::MAX))),
            vector: r.vector as u8,
        }
    }

    #[inline]
    fn fits(&self, flow: &FlowRecord) -> bool {
        flow.tcp_flags & self.mask == self.value
            && self.fragment.is_none_or(|f| f == flow.fragment)
            && self.lengths.is_none_or(|(min, max)| {
                let mean = flow.bytes.checked_div(flow.packets).unwrap_or(0);
                mean >= u64::from(min) && (max == u16::MAX || mean <= u64::from(max))
            })
    }
}

impl std::fmt::Debug for VectorTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VectorTable").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl VectorTable {
    /// Reads a table in the form of `vectors.toml`.
    ///
    /// # Errors
    /// The place and what is wrong there: TOML syntax, an unknown field or vector, an unknown version, too many rows.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|e| ConfigError::Vectors(e.to_string()))?;
        if file.version != VERSION {
            return Err(ConfigError::Vectors(format!("version {} is not {VERSION}", file.version)));
        }
        if file.vectors.len() > 200 {
            return Err(ConfigError::Vectors(format!("{} rows; at most 200", file.vectors.len())));
        }
        if let Some(r) = file.vectors.iter().find(|r| r.flags.is_some_and(|t| t.value & t.mask == 0)) {
            let text = format!("{}: flags whose value is 0 would fit flows whose exporter sends no flags", r.vector);
            return Err(ConfigError::Vectors(text));
        }
        Ok(Self::compile(file.vectors))
    }

    /// The committed table.
    ///
    /// # Errors
    /// None in practice: a test reads the same text.
    pub fn built_in() -> Result<Self, ConfigError> {
        Self::parse(BUILT_IN)
    }

    fn compile(rows: Vec<VectorRow>) -> Self {
        let fits = |r: &VectorRow, proto: u8| r.proto.is_empty() || r.proto.contains(&proto);
        let index = |keep: &dyn Fn(&VectorRow) -> bool| -> Vec<Test> {
            rows.iter().filter(|r| keep(r)).map(Test::of).collect()
        };
        let by_proto: Vec<Vec<Test>> =
            (0..=255u8).map(|p| index(&|r| fits(r, p) && (p != 17 || r.src_ports.is_empty()))).collect();
        let by_flags = Box::new(std::array::from_fn(|flags| short_cut(&by_proto[6], flags as u8)));
        let asks_flags = by_proto[17].iter().any(|t| t.mask != 0);
        let plain_udp = if asks_flags { ASK } else { short_cut(&by_proto[17], 0) };
        let mut ports: Vec<u16> = rows.iter().flat_map(|r| r.src_ports.iter().copied()).collect();
        ports.sort_unstable();
        ports.dedup();
        let port_rows = ports
            .iter()
            .map(|port| index(&|r| fits(r, 17) && (r.src_ports.is_empty() || r.src_ports.contains(port))))
            .collect();
        let mut may_name = [0; 4];
        for (word, bit) in ports.iter().map(|p| sieve(*p)) {
            may_name[word] |= 1 << bit;
        }
        VectorTable { rows, by_proto, by_flags, plain_udp, may_name, ports, port_rows }
    }

    /// The rows, in order.
    pub fn rows(&self) -> &[VectorRow] {
        &self.rows
    }

    /// The rows of one vector, in order.
    pub(crate) fn rows_of(&self, vector: Vector) -> impl Iterator<Item = &VectorRow> {
        self.rows.iter().filter(move |r| r.vector == vector)
    }

    /// Whether the vector's senders are reflectors.
    pub fn is_reflection(&self, vector: Vector) -> bool {
        self.rows_of(vector).any(|r| r.reflection)
    }

    /// Whether some row looks at this UDP source port.
    pub(crate) fn names_port(&self, port: u16) -> bool {
        self.port(port).is_some()
    }

    #[inline]
    fn may_have_rows(&self, port: u16) -> bool {
        let (word, bit) = sieve(port);
        self.may_name[word] >> bit & 1 == 1
    }

    /// The tests of a UDP source port that has rows of its own.
    #[inline]
    fn port(&self, port: u16) -> Option<&Vec<Test>> {
        if !self.may_have_rows(port) {
            return None;
        }
        self.ports.binary_search(&port).ok().map(|at| &self.port_rows[at])
    }

    /// The vector of a flow.
    pub fn classify(&self, flow: &FlowRecord) -> Vector {
        name(self.index(flow))
    }

    #[inline]
    pub(crate) fn index(&self, flow: &FlowRecord) -> u8 {
        let vector = match flow.proto {
            _ if flow.fragment == Fragment::Later => ASK,
            6 => self.by_flags[usize::from(flow.tcp_flags)],
            17 if !self.may_have_rows(flow.src_port) => self.plain_udp,
            _ => ASK,
        };
        if vector == ASK { self.ask(flow) } else { vector }
    }

    fn ask(&self, flow: &FlowRecord) -> u8 {
        let candidates = if flow.proto == 17 && flow.fragment != Fragment::Later {
            self.port(flow.src_port).unwrap_or(&self.by_proto[17])
        } else {
            &self.by_proto[usize::from(flow.proto)]
        };
        candidates.iter().find(|t| t.fits(flow)).map_or(OTHER, |t| t.vector)
    }
}

/// The vector that TCP flows with these flags have, whatever their length, as long as they are no later fragments.
fn short_cut(tests: &[Test], flags: u8) -> u8 {
    let mut fitting = tests.iter().filter(|t| flags & t.mask == t.value && t.fragment != Some(Fragment::Later));
    match fitting.next() {
        None => OTHER,
        Some(t) if t.lengths.is_none() && t.fragment.is_none() => t.vector,
        Some(_) => ASK,
    }
}

/// A bit of 256 for a port.
fn sieve(port: u16) -> (usize, u32) {
    let h = u32::from(port).wrapping_mul(0x9e37_79b1) >> 24;
    ((h >> 6) as usize, h & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(proto: u8, src_port: u16, flags: u8, len: u64) -> FlowRecord {
        FlowRecord { proto, src_port, tcp_flags: flags, bytes: len, packets: 1, ..FlowRecord::default() }
    }

    #[test]
    fn indices_follow_the_enum() {
        for (i, v) in ALL.iter().enumerate() {
            assert_eq!(*v as usize, i, "{v}");
        }
        assert_eq!(name(TOTAL), Vector::Total);
        assert_eq!(name(OTHER), Vector::OtherProtocol);
    }

    /// The short cuts against asking the rows one by one.
    #[test]
    fn short_cuts_change_nothing() {
        let t = VectorTable::built_in().unwrap();
        for proto in [1, 6, 17, 47, 58, 99] {
            for flags in 0..=255 {
                for port in [53, 123, 443, 1_900, 11_211] {
                    for (len, fragment) in [(40, Fragment::Whole), (468, Fragment::Unknown), (1_400, Fragment::Later)] {
                        let f = FlowRecord { fragment, ..flow(proto, port, flags, len) };
                        assert_eq!(t.index(&f), t.ask(&f), "{proto} {flags:#x} {port} {len} {fragment:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn names_the_most_specific() {
        let t = VectorTable::built_in().unwrap();
        let is = |p, s, f, l| t.classify(&flow(p, s, f, l));
        assert_eq!(is(6, 1, 0x02, 60), Vector::Syn);
        assert_eq!(is(6, 1, 0xc2, 60), Vector::Syn, "ECN bits do not hide a SYN");
        assert_eq!(is(6, 443, 0x12, 60), Vector::SynAck);
        assert_eq!(is(6, 443, 0x1b, 900), Vector::TcpOther, "a whole connection");
        assert_eq!(is(6, 443, 0x10, 52), Vector::AckRst);
        assert_eq!(is(6, 443, 0x10, 1500), Vector::TcpOther, "a download");
        assert_eq!(is(6, 443, 0x14, 40), Vector::AckRst);
        assert_eq!(is(17, 53, 0, 1400), Vector::DnsReflection);
        assert_eq!(is(17, 123, 0, 468), Vector::NtpReflection);
        assert_eq!(is(17, 123, 0, 76), Vector::UdpOther, "an ordinary answer");
        for (port, vector) in [
            (1900, Vector::SsdpReflection),
            (389, Vector::CldapReflection),
            (161, Vector::SnmpReflection),
            (11211, Vector::MemcachedReflection),
            (19, Vector::ChargenReflection),
            (3702, Vector::WsDiscoveryReflection),
            (3283, Vector::ArmsReflection),
            (500, Vector::IkeReflection),
            (4500, Vector::IkeReflection),
            (37810, Vector::DvrReflection),
            (443, Vector::UdpOther),
        ] {
            assert_eq!(is(17, port, 0, 500), vector);
        }
        assert_eq!(is(1, 0, 0, 84), Vector::Icmp);
        assert_eq!(is(58, 0, 0, 84), Vector::Icmp);
        assert_eq!(is(47, 0, 0, 500), Vector::Gre);
        assert_eq!(is(50, 0, 0, 500), Vector::OtherProtocol);
        let later = FlowRecord { fragment: Fragment::Later, ..flow(17, 0, 0, 1500) };
        assert_eq!(t.classify(&later), Vector::Fragments);
        let no_flags = flow(6, 1, 0, 60);
        assert_eq!(t.classify(&no_flags), Vector::TcpOther, "flags that were not sent prove nothing");
    }

    #[test]
    fn a_typo_is_named() {
        let e =
            VectorTable::parse("version = 1\n[[vectors]]\nvector = \"syn\"\nprotos = [6]\n").unwrap_err().to_string();
        assert!(e.contains("protos") && e.contains("line 4"), "{e}");
        assert!(VectorTable::parse("version = 2\nvectors = []").is_err());
        let zero = "version = 1\n[[vectors]]\nvector = \"syn\"\nflags = { mask = 2, value = 0 }\n";
        assert!(VectorTable::parse(zero).unwrap_err().to_string().contains("syn"));
    }
}

//! Packets on a timeline: built-in attacks, legitimate traffic, captures, and their merge.

pub mod attack;
pub mod capture;
mod customers;
pub mod labels;
pub mod legit;
pub mod scenario;

use suimon_base::PacketHeader;

/// What a packet really is, known because the lab made it or because a label file says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Label {
    /// Part of the attack.
    Attack,
    /// All else.
    Legitimate,
}

/// One packet that arrives at the model router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Microseconds since the source began.
    pub at_us: u64,
    /// Its headers.
    pub header: PacketHeader,
    /// What it is.
    pub label: Label,
    /// Number of the legitimate connection it belongs to; 0 is none.
    pub connection: u32,
    /// Whether it is the packet that opens its connection.
    pub opens: bool,
}

/// Packets in order of time, as every source gives them.
pub type Source = Box<dyn Iterator<Item = Packet> + Send>;

/// Several sources as one, in order of time; of packets at the same microsecond the earlier source's come first.
pub struct Merge {
    sources: Vec<(Option<Packet>, Source)>,
}

impl std::fmt::Debug for Merge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Merge({} sources)", self.sources.len())
    }
}

/// Merges sources that are each in order of time.
pub fn merge(sources: Vec<Source>) -> Merge {
    Merge { sources: sources.into_iter().map(|mut s| (s.next(), s)).collect() }
}

impl Iterator for Merge {
    type Item = Packet;
    fn next(&mut self) -> Option<Packet> {
        // A handful of sources: looking at each head is quicker than a heap.
        let mut best: Option<(u64, usize)> = None;
        for (i, (head, _)) in self.sources.iter().enumerate() {
            if let Some(p) = head
                && best.is_none_or(|(at, _)| p.at_us < at)
            {
                best = Some((p.at_us, i));
            }
        }
        let (head, source) = self.sources.get_mut(best?.1)?;
        std::mem::replace(head, source.next())
    }
}

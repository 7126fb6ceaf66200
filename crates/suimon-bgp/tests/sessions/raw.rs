//! A peer that keeps every octet: written from RFC 4271 and RFC 4760 alone, without the codec that is tested.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// AFI, SAFI and the NLRI with its length.
pub type Key = (u16, u8, Vec<u8>);
/// Attributes by type, without those that carry NLRI.
pub type Attributes = BTreeMap<u8, Vec<u8>>;

#[derive(Default)]
pub struct State {
    pub rib: BTreeMap<Key, Attributes>,
    pub sessions: usize,
    pub updates: usize,
    /// Subtypes of ROUTE-REFRESH messages received.
    pub marks: Vec<u8>,
    pub notification: Option<(u8, u8)>,
    link: Option<TcpStream>,
}

#[derive(Clone)]
pub struct Raw {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

const FAMILIES: [(u16, u8); 4] = [(1, 1), (2, 1), (1, 133), (2, 133)];

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xff; 16];
    out.extend((19 + body.len() as u16).to_be_bytes());
    out.push(kind);
    out.extend(body);
    out
}

fn open(asn: u16) -> Vec<u8> {
    let mut caps = Vec::new();
    for (afi, safi) in FAMILIES {
        caps.extend([1, 4]);
        caps.extend(afi.to_be_bytes());
        caps.extend([0, safi]);
    }
    // Route refresh, enhanced route refresh, 4-octet AS numbers.
    caps.extend([2, 0, 70, 0, 65, 4, 0, 0]);
    caps.extend(asn.to_be_bytes());
    let mut body = vec![4];
    body.extend(asn.to_be_bytes());
    body.extend(90u16.to_be_bytes());
    body.extend([192, 0, 2, 77]);
    body.extend([caps.len() as u8 + 2, 2, caps.len() as u8]);
    body.extend(caps);
    message(1, &body)
}

impl Raw {
    /// Listens on a free port of the loopback.
    pub fn listen(asn: u16) -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let raw = Raw { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let own = raw.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = own.session(stream, asn);
                let mut state = own.state();
                state.rib.clear();
                state.link = None;
            }
        });
        raw
    }

    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn keys(&self) -> Vec<Key> {
        self.state().rib.keys().cloned().collect()
    }

    /// Ends the session without a word.
    pub fn cut(&self) {
        if let Some(link) = &self.state().link {
            let _ = link.shutdown(Shutdown::Both);
        }
    }

    /// Asks for a family again.
    pub fn refresh(&self, afi: u16, safi: u8) {
        let [a, b] = afi.to_be_bytes();
        if let Some(link) = &mut self.state().link {
            link.write_all(&message(5, &[a, b, 0, safi])).unwrap();
        }
    }

    /// Sends octets as they are.
    pub fn say(&self, octets: &[u8]) {
        if let Some(link) = &mut self.state().link {
            link.write_all(octets).unwrap();
        }
    }

    fn session(&self, mut stream: TcpStream, asn: u16) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        loop {
            let mut head = [0; 19];
            stream.read_exact(&mut head)?;
            let length = usize::from(u16::from_be_bytes([head[16], head[17]]));
            let mut body = vec![0; length - 19];
            stream.read_exact(&mut body)?;
            match head[18] {
                1 => {
                    stream.write_all(&open(asn))?;
                    stream.write_all(&message(4, &[]))?;
                    let mut state = self.state();
                    state.link = Some(stream.try_clone()?);
                    state.sessions += 1;
                }
                2 => self.update(&body),
                3 => self.state().notification = Some((body[0], body[1])),
                4 => stream.write_all(&message(4, &[]))?,
                5 => self.state().marks.push(body[2]),
                other => panic!("message type {other}"),
            }
        }
    }

    fn update(&self, body: &[u8]) {
        let (withdrawn, rest) = sized(body, 2);
        let (attributes, nlri) = sized(rest, 2);
        let mut state = self.state();
        state.updates += 1;
        for n in prefixes(withdrawn) {
            state.rib.remove(&(1, 1, n));
        }
        let (mut kept, mut reached, mut gone) = (Attributes::new(), Vec::new(), Vec::new());
        let mut at = attributes;
        while !at.is_empty() {
            let (flags, kind) = (at[0], at[1]);
            let (value, rest) = sized(&at[2..], if flags & 0x10 != 0 { 2 } else { 1 });
            at = rest;
            let family = || (u16::from_be_bytes([value[0], value[1]]), value[2]);
            match kind {
                14 => {
                    let (afi, safi) = family();
                    let (next_hop, rest) = sized(&value[3..], 1);
                    kept.insert(kind, next_hop.to_vec());
                    reached.extend(nlris(&rest[1..], safi).into_iter().map(|n| (afi, safi, n)));
                }
                15 => {
                    let (afi, safi) = family();
                    gone.extend(nlris(&value[3..], safi).into_iter().map(|n| (afi, safi, n)));
                }
                _ => {
                    kept.insert(kind, value.to_vec());
                }
            }
        }
        reached.extend(prefixes(nlri).into_iter().map(|n| (1, 1, n)));
        gone.iter().for_each(|k| {
            state.rib.remove(k);
        });
        for key in reached {
            state.rib.insert(key, kept.clone());
        }
    }
}

/// Octets whose length stands before them in `n` octets, and the rest.
fn sized(b: &[u8], n: usize) -> (&[u8], &[u8]) {
    let length = b[..n].iter().fold(0, |sum, x| sum << 8 | usize::from(*x));
    (&b[n..n + length], &b[n + length..])
}

fn nlris(b: &[u8], safi: u8) -> Vec<Vec<u8>> {
    if safi == 133 { flows(b) } else { prefixes(b) }
}

fn prefixes(mut b: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while !b.is_empty() {
        let n = 1 + usize::from(b[0].div_ceil(8));
        assert!(n <= b.len(), "{b:02x?}");
        out.push(b[..n].to_vec());
        b = &b[n..];
    }
    out
}

/// RFC 8955 §4.1: one octet under 240, else two of which the first four bits are set.
fn flows(mut b: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while !b.is_empty() {
        let n =
            if b[0] < 240 { 1 + usize::from(b[0]) } else { 2 + usize::from(u16::from_be_bytes([b[0], b[1]]) & 0x0fff) };
        assert!(n <= b.len(), "{b:02x?}");
        out.push(b[..n].to_vec());
        b = &b[n..];
    }
    out
}

//! RIB dumps: MRT TABLE_DUMP_V2 (RFC 6396 §4.3), as written by BIRD, FRR, GoBGP and route collectors.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::Asn;

/// Longest record, octets; a route with every collector peer's path takes some kilobytes.
pub const MAX_RECORD_OCTETS: usize = 1 << 22;

const TABLE_DUMP_V2: u16 = 13;
const RIB_IPV4_UNICAST: u16 = 2;
const RIB_IPV6_UNICAST: u16 = 4;
const AS_PATH: u8 = 2;
const AS_SEQUENCE: u8 = 2;
const EXTENDED_LENGTH: u8 = 0x10;

/// A dump that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("RIB dump, octet {offset}: {reason}")]
pub struct MrtError {
    /// Where, from the start of the dump.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}

/// A cursor that knows where it is.
struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], MrtError> {
        let end = self.at.checked_add(n).filter(|e| *e <= self.end);
        let slice = end.and_then(|e| self.all.get(self.at..e));
        let slice = slice.ok_or(MrtError { offset: self.at, reason: "it ends too early" })?;
        self.at += n;
        Ok(slice)
    }
    fn number(&mut self, n: usize) -> Result<u32, MrtError> {
        Ok(self.take(n)?.iter().fold(0, |sum, b| sum << 8 | u32::from(*b)))
    }
    fn within(&mut self, n: usize) -> Result<Bytes<'a>, MrtError> {
        let at = self.at;
        self.take(n)?;
        Ok(Bytes { all: self.all, at, end: at + n })
    }
    fn is_empty(&self) -> bool {
        self.at >= self.end
    }
}

/// Calls `each` with every route's prefix and its path of AS_SEQUENCEs, nearest AS first.
///
/// # Errors
/// At the first octet that does not fit the format. Records of other types are skipped.
pub fn read(dump: &[u8], each: &mut dyn FnMut(IpNet, &[Asn])) -> Result<(), MrtError> {
    let mut b = Bytes { all: dump, at: 0, end: dump.len() };
    while !b.is_empty() {
        let start = b.at;
        b.take(4)?;
        let (kind, sub) = (b.number(2)? as u16, b.number(2)? as u16);
        let length = b.number(4)? as usize;
        if length > MAX_RECORD_OCTETS {
            return Err(MrtError { offset: start, reason: "a record is too long (is the dump compressed?)" });
        }
        let mut record = b.within(length)?;
        if kind == TABLE_DUMP_V2 && (sub == RIB_IPV4_UNICAST || sub == RIB_IPV6_UNICAST) {
            rib(&mut record, sub == RIB_IPV4_UNICAST, each)?;
        }
    }
    Ok(())
}

fn rib(b: &mut Bytes<'_>, v4: bool, each: &mut dyn FnMut(IpNet, &[Asn])) -> Result<(), MrtError> {
    b.take(4)?;
    let offset = b.at;
    let length = b.number(1)? as u8;
    let octets = b.take(usize::from(length.div_ceil(8)))?;
    let bad = MrtError { offset, reason: "a prefix is too long" };
    let addr = if v4 {
        let mut a = [0; 4];
        a.get_mut(..octets.len()).ok_or(bad.clone())?.copy_from_slice(octets);
        IpAddr::from(Ipv4Addr::from(a))
    } else {
        let mut a = [0; 16];
        a.get_mut(..octets.len()).ok_or(bad.clone())?.copy_from_slice(octets);
        IpAddr::from(Ipv6Addr::from(a))
    };
    let net = IpNet::new(addr, length).map_err(|_| bad)?.trunc();
    for _ in 0..b.number(2)? {
        b.take(6)?;
        let length = b.number(2)? as usize;
        let mut attributes = b.within(length)?;
        while !attributes.is_empty() {
            let flags = attributes.number(1)? as u8;
            let kind = attributes.number(1)? as u8;
            let length = attributes.number(if flags & EXTENDED_LENGTH != 0 { 2 } else { 1 })? as usize;
            let value = attributes.within(length)?;
            if kind == AS_PATH {
                each(net, &path(value)?);
            }
        }
    }
    Ok(())
}

fn path(mut b: Bytes<'_>) -> Result<Vec<Asn>, MrtError> {
    let mut out = Vec::new();
    while !b.is_empty() {
        let kind = b.number(1)? as u8;
        for _ in 0..b.number(1)? {
            let asn = Asn(b.number(4)?);
            // Sets come from aggregation; which of their ASes is where is not known.
            if kind == AS_SEQUENCE {
                out.push(asn);
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One RIB record.
    pub(crate) fn record(net: &str, path: &[u32]) -> Vec<u8> {
        let net: IpNet = net.parse().unwrap();
        let octets = match net.network() {
            IpAddr::V4(a) => a.octets().to_vec(),
            IpAddr::V6(a) => a.octets().to_vec(),
        };
        let mut attribute = vec![0x50, AS_PATH];
        let mut value = vec![AS_SEQUENCE, path.len() as u8];
        path.iter().for_each(|a| value.extend(a.to_be_bytes()));
        attribute.extend((value.len() as u16).to_be_bytes());
        attribute.extend(value);
        let mut body = vec![0, 0, 0, 1, net.prefix_len()];
        body.extend(&octets[..usize::from(net.prefix_len().div_ceil(8))]);
        body.extend([0, 1, 0, 0, 0, 0, 0, 0]);
        body.extend((attribute.len() as u16).to_be_bytes());
        body.extend(attribute);
        let sub = if net.addr().is_ipv4() { RIB_IPV4_UNICAST } else { RIB_IPV6_UNICAST };
        let mut out = vec![0; 4];
        out.extend(TABLE_DUMP_V2.to_be_bytes());
        out.extend(sub.to_be_bytes());
        out.extend((body.len() as u32).to_be_bytes());
        out.extend(body);
        out
    }

    #[test]
    fn reads_routes_and_never_past_the_end() {
        let dump = [record("192.0.2.0/24", &[64501, 64502]), record("2001:db8::/32", &[64503])].concat();
        let mut seen = Vec::new();
        read(&dump, &mut |net, path| seen.push((net.to_string(), path.to_vec()))).unwrap();
        assert_eq!(seen[0], ("192.0.2.0/24".into(), vec![Asn(64501), Asn(64502)]));
        assert_eq!(seen[1], ("2001:db8::/32".into(), vec![Asn(64503)]));
        let first = record("192.0.2.0/24", &[64501, 64502]).len();
        for cut in 1..dump.len() {
            assert_eq!(read(&dump[..cut], &mut |_, _| ()).is_ok(), cut == first, "{cut}");
        }
        // Any single octet may be anything without a panic.
        for i in 0..dump.len() {
            for v in [0, 1, 0x7f, 0xff] {
                let mut broken = dump.clone();
                broken[i] = v;
                let _ = read(&broken, &mut |_, _| ());
            }
        }
        let gz = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(read(&gz, &mut |_, _| ()).unwrap_err().reason.contains("compressed"));
    }
}

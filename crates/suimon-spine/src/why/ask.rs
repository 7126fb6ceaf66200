//! The question as people write it: `198.51.100.1 192.0.2.9 udp 53`.

use std::net::IpAddr;
use suimon_base::calendar::{japan, parse_date};
use suimon_base::{PacketQuery, Timestamp};

/// A question that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AskError(String);

/// Protocols by their names (IANA protocol numbers).
const PROTOCOLS: [(&str, u8); 14] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ospf", 89),
    ("pim", 103),
    ("sctp", 132),
    ("udplite", 136),
];

/// Reads the parts of a question.
///
/// # Errors
/// Names the part.
pub fn query(
    src: &str,
    dst: &str,
    proto: &str,
    dst_port: Option<&str>,
    src_port: Option<&str>,
) -> Result<PacketQuery, AskError> {
    let address = |name: &str, text: &str| {
        let bad = |_| AskError(format!("{name}: `{}` is not an address; name one host", cut(text)));
        text.trim().parse::<IpAddr>().map_err(bad)
    };
    let (src, dst) = (address("source", src)?, address("destination", dst)?);
    if src.is_ipv4() != dst.is_ipv4() {
        return Err(AskError("source and destination are not of one family".to_owned()));
    }
    let name = proto.trim().to_ascii_lowercase();
    let known = PROTOCOLS.iter().find(|(n, _)| *n == name).map(|(_, p)| *p);
    let proto = known.or_else(|| name.parse().ok()).ok_or_else(|| {
        AskError(format!(
            "protocol: `{}` is neither a number from 0 to 255 nor a name such as tcp, udp or icmp",
            cut(&name)
        ))
    })?;
    let port = |name: &str, text: Option<&str>| match text.map(str::trim).filter(|t| !t.is_empty()) {
        None => Ok(None),
        Some(t) => t.parse().map(Some).map_err(|_| AskError(format!("{name}: `{}` is not from 0 to 65535", cut(t)))),
    };
    let (src_port, dst_port) = (port("source port", src_port)?, port("port", dst_port)?);
    if (src_port.is_some() || dst_port.is_some()) && !matches!(proto, 6 | 17 | 132 | 136) {
        return Err(AskError(format!("protocol {proto} has no ports")));
    }
    Ok(PacketQuery { src, dst, proto, src_port, dst_port })
}

/// Reads a time: RFC 3339, or `2026-11-20 12:34` (also with seconds) as Japanese time.
///
/// # Errors
/// When it is neither.
pub fn time(text: &str) -> Result<Timestamp, AskError> {
    let text = text.trim();
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let bad = || {
        AskError(format!(
            "`{}` is no time; write 2026-11-20T03:34:00Z, or 2026-11-20 12:34 for Japanese time",
            cut(text)
        ))
    };
    let (date, clock) = text.split_once([' ', 'T']).ok_or_else(bad)?;
    let mut parts = clock.split(':').map(|p| p.parse::<i8>().ok());
    let (hour, minute, second) = (parts.next().flatten(), parts.next().flatten(), parts.next().unwrap_or(Some(0)));
    let (Some(hour), Some(minute), Some(second), None) = (hour, minute, second, parts.next()) else {
        return Err(bad());
    };
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return Err(bad());
    }
    let zoned =
        parse_date(date).map_err(|_| bad())?.at(hour, minute, second, 0).to_zoned(japan()).map_err(|_| bad())?;
    Ok(Timestamp::from_jiff(zoned.timestamp()))
}

fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_or_its_part_named() {
        let q = query("198.51.100.1", "192.0.2.9", "UDP", Some("53"), None).unwrap();
        assert_eq!((q.proto, q.src_port, q.dst_port), (17, None, Some(53)));
        assert_eq!(query("2001:db8::1", "2001:db8::2", "58", None, Some("")).unwrap().proto, 58);
        for (args, word) in [
            (("198.51.100.0/24", "192.0.2.9", "udp", None), "source"),
            (("198.51.100.1", "2001:db8::1", "udp", None), "family"),
            (("198.51.100.1", "192.0.2.9", "256", None), "protocol"),
            (("198.51.100.1", "192.0.2.9", "udp", Some("65536")), "port"),
            (("198.51.100.1", "192.0.2.9", "icmp", Some("1")), "no ports"),
        ] {
            let error = query(args.0, args.1, args.2, args.3, None).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn times_are_read_in_both_ways() {
        let at = time("2026-11-20T03:34:00Z").unwrap();
        assert_eq!(time("2026-11-20 12:34").unwrap(), at);
        assert_eq!(time("2026-11-20 12:34:01").unwrap(), at.plus_ms(1_000));
        for bad in ["", "yesterday", "2026-11-20", "2026-11-20 24:00", "2026-11-31 10:00", "2026-11-20 10:00:00:00"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}

//! How NETCONF messages lie in the stream: ended by `]]>]]>` (RFC 6242 section 4.3) or in chunks (section 4.2).

use crate::nftables::find;

/// Ends a message of base:1.0, and the hello in every case.
const END: &[u8] = b"]]>]]>";
/// Ends the chunks of a message.
const CHUNKS_END: &[u8] = b"\n##\n";
/// Octets of a chunk's head: `\n#4294967295\n`.
const HEAD_OCTETS: usize = 13;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    EndOfMessage,
    Chunked,
}

impl Framing {
    /// A message made ready to send.
    pub(super) fn encode(self, message: &str) -> Vec<u8> {
        match self {
            Framing::EndOfMessage => [message.as_bytes(), END].concat(),
            Framing::Chunked => {
                let head = format!("\n#{}\n", message.len());
                [head.as_bytes(), message.as_bytes(), CHUNKS_END].concat()
            }
        }
    }

    /// The first whole message and how many octets it took; `None` while more has to come. `looked` is 0 at first and
    /// keeps how far an earlier call looked in the same input, so that a long message is not searched again and again.
    pub(super) fn decode(self, input: &[u8], looked: &mut usize) -> Result<Option<(String, usize)>, String> {
        let (octets, taken) = match self {
            Framing::EndOfMessage => {
                let from = (*looked).min(input.len());
                let Some(at) = find(input.get(from..).unwrap_or_default(), END).map(|at| at + from) else {
                    *looked = input.len().saturating_sub(END.len());
                    return Ok(None);
                };
                (input.get(..at).unwrap_or_default().to_vec(), at + END.len())
            }
            Framing::Chunked => match chunks(input)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let text =
            String::from_utf8(octets).map_err(|e| format!("not UTF-8 at octet {}", e.utf8_error().valid_up_to()))?;
        Ok(Some((text, taken)))
    }
}

fn chunks(input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut message, mut at) = (Vec::new(), 0);
    loop {
        let rest = input.get(at..).unwrap_or_default();
        if rest.starts_with(CHUNKS_END) {
            if message.is_empty() {
                return Err(format!("octet {at}: a message without a chunk"));
            }
            return Ok(Some((message, at + CHUNKS_END.len())));
        }
        let head = rest.get(..rest.len().min(HEAD_OCTETS)).unwrap_or_default();
        let Some(end) = head.iter().skip(2).position(|b| *b == b'\n').map(|p| p + 2) else {
            let begins = b"\n#".iter().zip(head).all(|(a, b)| a == b);
            let digits = head.iter().skip(2).enumerate().all(|(i, b)| b.is_ascii_digit() || i == 0 && *b == b'#');
            return match begins && digits && head.len() < HEAD_OCTETS {
                true => Ok(None),
                false => Err(format!("octet {at}: a chunk begins with a line end, `#` and its size")),
            };
        };
        let digits = head.get(2..end).and_then(|d| std::str::from_utf8(d).ok()).unwrap_or_default();
        let size = digits
            .parse::<u32>()
            .ok()
            .filter(|n| *n > 0 && head.starts_with(b"\n#") && !digits.starts_with(['0', '+']));
        let Some(size) = size else { return Err(format!("octet {at}: {digits:?} is no size of a chunk")) };
        let from = at + end + 1;
        let to = from.saturating_add(size as usize);
        let Some(data) = input.get(from..to) else { return Ok(None) };
        message.extend_from_slice(data);
        at = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_read() {
        // RFC 6242 section 4.2.
        let text = "\n#4\n<rpc\n#18\n message-id=\"102\"\n\n#79\n     xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\">\n  <close-session/>\n</rpc>\n##\n";
        let (message, taken) = Framing::Chunked.decode(text.as_bytes(), &mut 0).unwrap().unwrap();
        assert_eq!(taken, text.len());
        assert!(message.starts_with("<rpc message-id=\"102\"\n") && message.ends_with("</rpc>"));
    }

    #[test]
    fn what_is_written_is_read_however_it_arrives() {
        for framing in [Framing::EndOfMessage, Framing::Chunked] {
            let stream = [framing.encode("<a>Ä</a>"), framing.encode("<b/>")].concat();
            for cut in 0..stream.len() {
                let early = framing.decode(&stream[..cut], &mut 0).unwrap();
                let first = framing.encode("<a>Ä</a>").len();
                assert_eq!(early.is_some(), cut >= first, "{framing:?} {cut}");
            }
            let (a, taken) = framing.decode(&stream, &mut 0).unwrap().unwrap();
            let (b, _) = framing.decode(&stream[taken..], &mut 0).unwrap().unwrap();
            assert_eq!((a.as_str(), b.as_str()), ("<a>Ä</a>", "<b/>"));
        }
    }

    #[test]
    fn broken_chunks_are_errors_not_waits() {
        for bad in ["x", "\n#0\n", "\n#01\na", "\n#-1\n", "\n#99999999999\n", "\n##\n", "\n#1\nab", "\nabc"] {
            assert!(Framing::Chunked.decode(bad.as_bytes(), &mut 0).is_err(), "{bad:?}");
        }
        for part in ["", "\n", "\n#", "\n#4", "\n#4\nab", "\n#1\na\n", "\n#1\na\n#", "\n#1\na\n##"] {
            assert_eq!(Framing::Chunked.decode(part.as_bytes(), &mut 0), Ok(None), "{part:?}");
        }
        assert!(Framing::EndOfMessage.decode(b"\xff]]>]]>", &mut 0).is_err());
    }
}

//! Messages of NETCONF (RFC 6241 section 4, hello section 8.1).

use crate::error::words;
use roxmltree::{Document, Node};

/// The base namespace; the same for 1.0 and 1.1.
pub(super) const BASE: &str = "urn:ietf:params:xml:ns:netconf:base:1.0";
/// Capabilities of the two framings.
pub(super) const BASE_1_0: &str = "urn:ietf:params:netconf:base:1.0";
pub(super) const BASE_1_1: &str = "urn:ietf:params:netconf:base:1.1";

/// What we say first.
pub(super) fn hello() -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<hello xmlns=\"{BASE}\"><capabilities><capability>{BASE_1_0}</capability>\
         <capability>{BASE_1_1}</capability></capabilities></hello>"
    )
}

/// A request.
pub(super) fn rpc(id: u64, body: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rpc message-id=\"{id}\" xmlns=\"{BASE}\">{body}</rpc>")
}

/// Text between tags.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Elements below `node` with this local name, whatever their namespace: vendors put their own on their data.
pub(super) fn below<'a>(node: Node<'a, 'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.descendants().filter(move |n| n.is_element() && n.tag_name().name() == name)
}

fn text_of(node: Node<'_, '_>, name: &str) -> String {
    let found = node.children().find(|n| n.tag_name().name() == name).and_then(|n| n.text());
    found.unwrap_or_default().trim().to_owned()
}

/// Capabilities of the server.
///
/// # Errors
/// Where it is no hello of RFC 6241.
pub(super) fn capabilities(xml: &str) -> Result<Vec<String>, String> {
    let doc = document(xml)?;
    let root = doc.root_element();
    if root.tag_name().name() != "hello" || root.tag_name().namespace() != Some(BASE) {
        return Err(format!("<{}> instead of <hello> in namespace {BASE}", root.tag_name().name()));
    }
    if text_of(root, "session-id").parse::<u32>().map_or(true, |n| n == 0) {
        return Err("the hello has no session-id".into());
    }
    let list = below(root, "capability").filter_map(|n| n.text());
    Ok(list.map(|t| t.trim().to_owned()).collect())
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `<ok/>` or data; the whole reply.
    Good(String),
    /// `<rpc-error>` of severity error: tag and words.
    Bad { tag: String, words: String },
}

/// Reads the reply to request `id`.
///
/// # Errors
/// Where it is no reply to it.
pub(super) fn reply(xml: String, id: u64) -> Result<Reply, String> {
    let doc = document(&xml)?;
    let root = doc.root_element();
    if root.tag_name().name() != "rpc-reply" {
        return Err(format!("<{}> instead of <rpc-reply>", root.tag_name().name()));
    }
    if root.attribute("message-id") != Some(id.to_string().as_str()) {
        return Err(format!("a reply to message {:?}, not to {id}", root.attribute("message-id")));
    }
    // Warnings come beside <ok/>; only errors count.
    let error = below(root, "rpc-error").find(|e| text_of(*e, "error-severity") != "warning");
    Ok(match error {
        Some(e) => {
            let place = text_of(e, "error-path");
            let text = format!("{} {place}", text_of(e, "error-message"));
            Reply::Bad { tag: text_of(e, "error-tag"), words: words(&text, 300) }
        }
        None => {
            drop(doc);
            Reply::Good(xml)
        }
    })
}

/// # Errors
/// Where it is not well-formed, or has a DTD.
pub(super) fn document(xml: &str) -> Result<Document<'_>, String> {
    Document::parse(xml.trim_start()).map_err(|e| format!("XML: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_read_or_refused() {
        // RFC 6241 section 8.1.
        let good = format!(
            "<?xml version=\"1.0\"?><hello xmlns=\"{BASE}\"><capabilities><capability>\n {BASE_1_1}\n</capability>\
            <capability>urn:ietf:params:netconf:capability:startup:1.0</capability></capabilities><session-id>4</session-id></hello>"
        );
        assert_eq!(capabilities(&good).unwrap()[0], BASE_1_1);
        assert!(capabilities(&good.replace("<session-id>4</session-id>", "")).is_err());
        assert!(capabilities("<hello/>").is_err());
        assert!(capabilities("<!DOCTYPE a [<!ENTITY b \"c\">]><hello/>").is_err());
    }

    #[test]
    fn errors_count_and_warnings_do_not() {
        let of =
            |inner: &str, id| reply(format!("<rpc-reply message-id=\"7\" xmlns=\"{BASE}\">{inner}</rpc-reply>"), id);
        assert!(matches!(of("<ok/>", 7), Ok(Reply::Good(_))));
        assert!(of("<ok/>", 8).is_err());
        let error = "<rpc-error><error-type>protocol</error-type><error-tag>lock-denied</error-tag>\
            <error-severity>error</error-severity><error-message>held by 3</error-message></rpc-error>";
        assert_eq!(of(error, 7), Ok(Reply::Bad { tag: "lock-denied".into(), words: "held by 3".into() }));
        let warning = error.replace("severity>error", "severity>warning");
        assert!(matches!(of(&format!("{warning}<ok/>"), 7), Ok(Reply::Good(_))));
    }
}

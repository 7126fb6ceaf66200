//! Alerts as HTTP POST of a JSON object.

use crate::Secret;
use crate::alert::{Alert, Severity, one_line};
use crate::courier::DeliverError;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;
use std::fmt;
use std::time::Duration;
use suimon_base::Timestamp;
use suimon_base::id::{AlertId, CaseId};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, http::Uri};

/// The most of a receiver's answer that is read, in bytes: its head. The body is not read.
const MAX_ANSWER_HEAD_BYTES: usize = 16 * 1024;

/// The longest wait that a receiver's `Retry-After` can ask for, in seconds.
const MAX_RETRY_AFTER_S: i64 = 3_600;

/// Where a webhook goes. Some receivers put a token into the path: `Debug` prints the URL's host only.
#[derive(Clone)]
pub struct Webhook {
    /// `https://…`, or `http://…` where the way is trusted.
    pub url: String,
    /// The key of the `Suimon-Signature` header: `sha256=` and the HMAC-SHA256 of the body in hexadecimal (RFC 2104).
    pub secret: Option<Secret>,
    /// PEM of the only certificate authority to trust; the system's where none is given.
    pub ca_pem: Option<String>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.url.parse::<Uri>().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or("<not a URL>");
        let signed = self.secret.is_some();
        f.debug_struct("Webhook").field("host", &host).field("signed", &signed).finish_non_exhaustive()
    }
}

/// The JSON object. A field may be added; `version` changes where one changes or goes.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
struct Body<'a> {
    version: u32,
    id: AlertId,
    key: String,
    at: Timestamp,
    severity: Severity,
    case: Option<CaseId>,
    subject_ja: String,
    subject_en: String,
    text_ja: &'a str,
    text_en: &'a str,
    link: Option<&'a str>,
}

/// The body as it is sent and signed.
pub(crate) fn body(alert: &Alert) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Body {
        version: 1,
        id: alert.id,
        key: alert.key(),
        at: alert.at,
        severity: alert.severity,
        case: alert.case,
        subject_ja: one_line(&alert.subject_ja),
        subject_en: one_line(&alert.subject_en),
        text_ja: &alert.text_ja,
        text_en: &alert.text_en,
        link: alert.link.as_deref(),
    })
}

/// The value of the signature header.
fn signature(secret: &Secret, body: &[u8]) -> String {
    let key = secret.reveal().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    bytes.iter().fold(String::from("sha256="), |text, byte| text + &format!("{byte:02x}"))
}

/// A webhook ready to be called.
#[derive(Debug)]
pub(crate) struct Caller {
    webhook: Webhook,
    agent: Agent,
}

impl Caller {
    pub(crate) fn new(webhook: Webhook, step: Duration) -> Result<Self, (&'static str, String)> {
        let uri: Uri = webhook.url.parse().map_err(|e| ("url", format!("{e}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(("url", "must be http://HOST/… or https://HOST/…".to_owned()));
        }
        if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err(("url", "must not hold a password; sign with a secret file instead".to_owned()));
        }
        if webhook.secret.as_ref().is_some_and(Secret::is_empty) {
            return Err(("secret", "the file is empty".to_owned()));
        }
        let roots = match &webhook.ca_pem {
            None => RootCerts::PlatformVerifier,
            Some(pem) => {
                let ca = Certificate::from_pem(pem.as_bytes()).map_err(|e| ("ca", e.to_string()))?;
                RootCerts::from(vec![ca])
            }
        };
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_global(Some(step * 2))
            .timeout_connect(Some(step))
            .timeout_recv_response(Some(step))
            .http_status_as_error(false)
            // A redirect would turn the POST into a GET, and send customers' data where nobody configured it.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_ANSWER_HEAD_BYTES)
            // Only the daemon reads the environment; the library would look for a proxy there.
            .proxy(None)
            .max_idle_connections(0)
            .user_agent(concat!("suimon/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Caller { webhook, agent: config.new_agent() })
    }

    pub(crate) fn call(&self, alert: &Alert) -> Result<(), DeliverError> {
        let body = body(alert).map_err(|e| DeliverError::lasting(e.to_string()))?;
        let mut request = self
            .agent
            .post(&self.webhook.url)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", alert.key());
        if let Some(secret) = &self.webhook.secret {
            request = request.header("Suimon-Signature", signature(secret, &body));
        }
        let response = request.send(&body[..]).map_err(|e| failed(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let problem = format!("the receiver answered {}", status.as_u16());
        if !(status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)) {
            return Err(DeliverError::lasting(problem));
        }
        let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.trim().parse::<i64>().ok());
        let after_ms = after.map(|s| s.clamp(0, MAX_RETRY_AFTER_S) * 1_000);
        Err(DeliverError { after_ms, ..DeliverError::passing(problem) })
    }
}

/// What a failed call means for the next one.
fn failed(error: &ureq::Error) -> DeliverError {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => DeliverError::lasting(error.to_string()),
        // Names, routes, certificates and broken answers are mended on the other side; the outbox ends it by age.
        _ => DeliverError::passing(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_rfc_4231_says() {
        // Test case 2.
        let signed = signature(&Secret::new("Jefe\n"), b"what do ya want for nothing?");
        assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_token_in_the_path_is_not_in_any_debug_text() {
        let url = "https://example.com/services/T0KEN".to_owned();
        let webhook = Webhook { url, secret: Some(Secret::new("hunter2")), ca_pem: None };
        let text = format!("{webhook:?} {:?}", Caller::new(webhook.clone(), Duration::from_secs(1)));
        assert!(text.contains("example.com") && !text.contains("T0KEN") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn refuses_what_cannot_work() {
        let with = |url: &str| {
            Caller::new(Webhook { url: url.to_owned(), secret: None, ca_pem: None }, Duration::from_secs(1)).err()
        };
        for bad in ["", "example.com/x", "ftp://example.com/", "https:///x", "https://u:p@example.com/"] {
            assert_eq!(with(bad).map(|(field, _)| field), Some("url"), "{bad}");
        }
        assert_eq!(with("https://example.com/hook"), None);
    }
}

//! Alerts as mail over SMTP (RFC 5321), plain text in UTF-8.

use crate::Secret;
use crate::alert::{Alert, one_line};
use crate::courier::DeliverError;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials as SmtpCredentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport as _};
use std::time::{Duration, SystemTime};
use suimon_base::Timestamp;

/// The most receivers of one channel.
const MAX_RECEIVERS: usize = 50;

/// Whether the way to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Plain text, for a relay on this machine or on a trusted wire. No password is sent over it.
    None,
    /// STARTTLS (RFC 3207); a server that does not offer it gets no mail.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Wrapped,
}

/// Which language a mail is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Japanese only.
    Ja,
    /// English only.
    En,
    /// Japanese first, then English.
    Both,
}

/// Who we are to the mail server.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The account.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// Where mail goes.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Name or address of the mail server.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// Encryption.
    pub tls: MailTls,
    /// PEM of the only certificate authority to trust; the system's where none is given.
    pub ca_pem: Option<String>,
    /// Account and password, where the server wants them.
    pub credentials: Option<Credentials>,
    /// The sender, as `Name <address>` or an address.
    pub from: String,
    /// The receivers.
    pub to: Vec<String>,
    /// The language.
    pub language: Language,
}

/// A mail channel ready to send.
#[derive(Debug)]
pub(crate) struct Postman {
    from: Mailbox,
    to: Vec<Mailbox>,
    language: Language,
    transport: SmtpTransport,
}

impl Postman {
    pub(crate) fn new(mail: Mail, step: Duration) -> Result<Self, (&'static str, String)> {
        let mailbox = |field, text: &str| text.parse::<Mailbox>().map_err(|e| (field, format!("`{text}`: {e}")));
        if mail.server.is_empty() {
            return Err(("server", "is empty".to_owned()));
        }
        if mail.to.is_empty() || mail.to.len() > MAX_RECEIVERS {
            return Err(("to", format!("takes 1 to {MAX_RECEIVERS} receivers, not {}", mail.to.len())));
        }
        if mail.credentials.is_some() && mail.tls == MailTls::None {
            return Err(("tls", "a password is not sent over an unencrypted connection".to_owned()));
        }
        let from = mailbox("from", &mail.from)?;
        let to = mail.to.iter().map(|t| mailbox("to", t)).collect::<Result<_, _>>()?;
        let tls = match mail.tls {
            MailTls::None => Tls::None,
            MailTls::StartTls => Tls::Required(tls(&mail)?),
            MailTls::Wrapped => Tls::Wrapper(tls(&mail)?),
        };
        let mut transport =
            SmtpTransport::builder_dangerous(mail.server.as_str()).port(mail.port).tls(tls).timeout(Some(step));
        if let Some(c) = mail.credentials {
            transport = transport.credentials(SmtpCredentials::new(c.user, c.password.reveal().to_owned()));
        }
        Ok(Postman { from, to, language: mail.language, transport: transport.build() })
    }

    pub(crate) fn send(&self, alert: &Alert, now: Timestamp) -> Result<(), DeliverError> {
        let message = self.message(alert, now).map_err(|e| DeliverError::lasting(format!("cannot write it: {e}")))?;
        match self.transport.send(&message) {
            Ok(_) => Ok(()),
            Err(e) if e.is_permanent() => Err(DeliverError::lasting(told(&e))),
            Err(e) => Err(DeliverError::passing(told(&e))),
        }
    }

    fn message(&self, alert: &Alert, now: Timestamp) -> Result<Message, lettre::error::Error> {
        let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now.as_secs()).unwrap_or(0));
        let (subject_ja, subject_en) = (one_line(&alert.subject_ja), one_line(&alert.subject_en));
        let subject = match self.language {
            Language::Ja => subject_ja,
            Language::En => subject_en,
            Language::Both => format!("{subject_ja} / {subject_en}"),
        };
        let mut builder = Message::builder()
            .from(self.from.clone())
            .date(sent)
            // The same for every try: a mail system that keeps one of each shows it once.
            .message_id(Some(format!("<{}@{}>", alert.key(), self.from.email.domain())))
            .subject(format!("[Suimon {}] {subject}", alert.id))
            // Nobody's out-of-office reply should come back (RFC 3834).
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder.body(self.text(alert))
    }

    fn text(&self, alert: &Alert) -> String {
        let mut text = match self.language {
            Language::Ja => alert.text_ja.clone(),
            Language::En => alert.text_en.clone(),
            Language::Both => format!("{}\n\n----\n\n{}", alert.text_ja.trim_end(), alert.text_en),
        };
        while text.ends_with('\n') {
            text.pop();
        }
        text.push('\n');
        if let Some(case) = alert.case {
            text.push_str(&format!("\n事案 / Case: {case}\n"));
        }
        if let Some(link) = &alert.link {
            text.push_str(&format!("{link}\n"));
        }
        text
    }
}

fn tls(mail: &Mail) -> Result<TlsParameters, (&'static str, String)> {
    let mut tls = TlsParameters::builder(mail.server.clone());
    if let Some(pem) = &mail.ca_pem {
        let ca = Some(pem).filter(|pem| pem.contains("-----BEGIN CERTIFICATE-----"));
        let ca = ca.ok_or_else(|| ("ca", "holds no certificate in PEM form".to_owned()))?;
        let ca = Certificate::from_pem(ca.as_bytes()).map_err(|e| ("ca", told(&e)))?;
        tls = tls.certificate_store(CertificateStore::None).add_root_certificate(ca);
    }
    tls.build().map_err(|e| ("tls", told(&e)))
}

/// The error with its cause: the library's own text leaves the cause to the reader.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(1);

    fn mail() -> Mail {
        Mail {
            server: "192.0.2.1".to_owned(),
            port: 25,
            tls: MailTls::None,
            ca_pem: None,
            credentials: None,
            from: "Suimon <suimon@example.com>".to_owned(),
            to: vec!["noc@example.com".to_owned()],
            language: Language::Both,
        }
    }

    #[test]
    fn refuses_what_cannot_work_and_names_the_field() {
        let field = |mail: Mail| Postman::new(mail, STEP).err().map(|(field, _)| field);
        let password = Credentials { user: "u".to_owned(), password: Secret::new("p") };
        assert_eq!(field(mail()), None);
        assert_eq!(field(Mail { server: String::new(), ..mail() }), Some("server"));
        assert_eq!(field(Mail { from: "nobody".to_owned(), ..mail() }), Some("from"));
        assert_eq!(field(Mail { to: vec![], ..mail() }), Some("to"));
        assert_eq!(field(Mail { to: vec!["a@example.com\r\nBcc: b@example.com".to_owned()], ..mail() }), Some("to"));
        assert_eq!(field(Mail { credentials: Some(password), ..mail() }), Some("tls"));
        assert_eq!(field(Mail { tls: MailTls::StartTls, ca_pem: Some("no".to_owned()), ..mail() }), Some("ca"));
    }

    #[test]
    fn a_password_is_not_in_any_debug_text() {
        let password = Credentials { user: "u".to_owned(), password: Secret::new("hunter2") };
        let mail = Mail { credentials: Some(password), tls: MailTls::StartTls, ..mail() };
        assert!(!format!("{mail:?}").contains("hunter2"));
        assert!(!format!("{:?}", Postman::new(mail, STEP)).contains("hunter2"));
    }
}

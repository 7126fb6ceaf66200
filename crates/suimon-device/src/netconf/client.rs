//! A NETCONF session over SSH.

use super::framing::Framing;
use super::message::{self, Reply};
use crate::error::DeviceError;
use crate::session::Session;
use crate::ssh::{SshMode, SshTarget};

const CAPABILITY: &str = "urn:ietf:params:netconf:capability:";

/// A session after both hellos.
pub(super) struct Client {
    session: Session,
    framing: Framing,
    capabilities: Vec<String>,
    id: u64,
    read_s: u64,
    change_s: u64,
}

impl Client {
    pub(super) fn open(target: &SshTarget) -> Result<Self, DeviceError> {
        let session = Session::open(target, SshMode::Subsystem("netconf"))?;
        let mut client = Client {
            session,
            framing: Framing::EndOfMessage,
            capabilities: Vec::new(),
            id: 0,
            read_s: target.read_s(),
            change_s: target.change_s(),
        };
        client.session.send(&Framing::EndOfMessage.encode(&message::hello()));
        let step = "hello";
        let hello = client.receive(step, client.read_s)?;
        client.capabilities = message::capabilities(&hello).map_err(|e| unreadable(step, e))?;
        // RFC 6242 section 4.1: chunks from here on where both said 1.1.
        if client.capabilities.iter().any(|c| c == message::BASE_1_1) {
            client.framing = Framing::Chunked;
        } else if !client.capabilities.iter().any(|c| c == message::BASE_1_0) {
            return Err(unreadable(step, "the router speaks neither base:1.0 nor base:1.1".into()));
        }
        Ok(client)
    }

    /// Whether the server has a capability of RFC 6241 in any version.
    pub(super) fn can(&self, name: &str) -> bool {
        self.capabilities.iter().any(|c| {
            c.strip_prefix(CAPABILITY).and_then(|c| c.strip_prefix(name)).is_some_and(|rest| rest.starts_with(':'))
        })
    }

    /// Whether the server has exactly this capability and version.
    pub(super) fn can_exactly(&self, name: &str) -> bool {
        self.capabilities.iter().any(|c| c.strip_prefix(CAPABILITY) == Some(name))
    }

    fn receive(&mut self, step: &str, limit_s: u64) -> Result<String, DeviceError> {
        let (framing, mut looked) = (self.framing, 0);
        let message = self.session.until(step, limit_s, |out| match framing.decode(out, &mut looked) {
            Ok(Some((text, taken))) => Some((Ok(text), taken)),
            Ok(None) => None,
            Err(e) => Some((Err(e), out.len())),
        })?;
        message.map_err(|e| unreadable(step, e))
    }

    /// Sends a request and waits for its answer.
    pub(super) fn ask(&mut self, step: &str, body: &str) -> Result<Reply, DeviceError> {
        self.id += 1;
        let limit_s = if body.starts_with("<get") { self.read_s } else { self.change_s };
        self.session.send(&self.framing.encode(&message::rpc(self.id, body)));
        let xml = self.receive(step, limit_s)?;
        message::reply(xml, self.id).map_err(|e| unreadable(step, e))
    }

    /// The same where an `<rpc-error>` is an error.
    pub(super) fn must(&mut self, step: &str, body: &str) -> Result<String, DeviceError> {
        match self.ask(step, body)? {
            Reply::Good(xml) => Ok(xml),
            Reply::Bad { tag, words } => {
                Err(DeviceError::Said { step: step.into(), said: format!("{tag}: {words}").trim_end().to_owned() })
            }
        }
    }
}

pub(super) fn unreadable(step: &str, reason: String) -> DeviceError {
    DeviceError::Unreadable { step: step.into(), reason }
}

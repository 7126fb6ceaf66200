//! Carries one alert over one channel.

use crate::STEP_TIMEOUT_S;
use crate::alert::Alert;
use crate::mail::{Mail, Postman};
use crate::webhook::{Caller, Webhook};
use std::time::Duration;
use suimon_base::Timestamp;

/// A way out of the box.
#[derive(Clone, Debug)]
pub enum Channel {
    /// HTTP POST of a JSON object.
    Webhook(Webhook),
    /// SMTP.
    Mail(Mail),
}

/// A channel whose configuration cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("channel `{channel}`: {field}: {problem}")]
pub struct ChannelError {
    /// The channel's name in the configuration.
    pub channel: String,
    /// The field that is wrong.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// A try that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct DeliverError {
    /// Whether another try can succeed without somebody changing something first.
    pub retry: bool,
    /// The receiver's wish when to come again, in milliseconds from now.
    pub after_ms: Option<i64>,
    /// What happened, for the ledger and a person; holds no secret.
    pub problem: String,
}

impl DeliverError {
    pub(crate) fn passing(problem: impl Into<String>) -> Self {
        DeliverError { retry: true, after_ms: None, problem: problem.into() }
    }
    pub(crate) fn lasting(problem: impl Into<String>) -> Self {
        DeliverError { retry: false, after_ms: None, problem: problem.into() }
    }
}

/// The channels of the configuration, ready to be used from several threads.
#[derive(Debug)]
pub struct Courier {
    channels: Vec<(String, Carrier)>,
}

#[derive(Debug)]
enum Carrier {
    Webhook(Caller),
    Mail(Box<Postman>),
}

impl Courier {
    /// Checks every channel and gets it ready. Nothing is sent.
    ///
    /// # Errors
    /// The first channel that cannot work, with its field.
    pub fn new(channels: impl IntoIterator<Item = (String, Channel)>) -> Result<Self, ChannelError> {
        Courier::with_patience(channels, Duration::from_secs(STEP_TIMEOUT_S))
    }

    /// [`Courier::new`] with another patience than [`STEP_TIMEOUT_S`].
    ///
    /// # Errors
    /// As [`Courier::new`].
    pub fn with_patience(
        channels: impl IntoIterator<Item = (String, Channel)>,
        step: Duration,
    ) -> Result<Self, ChannelError> {
        let mut ready: Vec<(String, Carrier)> = Vec::new();
        for (name, channel) in channels {
            let wrong = |(field, problem)| ChannelError { channel: name.clone(), field, problem };
            if ready.iter().any(|(n, _)| *n == name) {
                return Err(wrong(("name", "used by two channels".to_owned())));
            }
            let carrier = match channel {
                Channel::Webhook(webhook) => Carrier::Webhook(Caller::new(webhook, step).map_err(wrong)?),
                Channel::Mail(mail) => Carrier::Mail(Box::new(Postman::new(mail, step).map_err(wrong)?)),
            };
            ready.push((name, carrier));
        }
        Ok(Courier { channels: ready })
    }

    /// The channels' names, in the configuration's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|(name, _)| name.as_str())
    }

    /// Tries once, and blocks meanwhile (see [`crate::STEP_TIMEOUT_S`]). `now` dates the mail.
    ///
    /// # Errors
    /// Whether a later try can succeed, and what happened. A channel that does not exist is a lasting error.
    pub fn deliver(&self, channel: &str, alert: &Alert, now: Timestamp) -> Result<(), DeliverError> {
        match self.channels.iter().find(|(name, _)| name == channel) {
            Some((_, Carrier::Webhook(caller))) => caller.call(alert),
            Some((_, Carrier::Mail(postman))) => postman.send(alert, now),
            None => Err(DeliverError::lasting(format!("no channel `{channel}` is configured"))),
        }
    }
}

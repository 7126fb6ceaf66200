//! A hand: alerts leave the box by webhook and mail.
//!
//! [`Outbox`] decides what is tried when (pure: time and jitter come in as arguments); [`Courier`] carries one alert over one
//! channel and blocks while it does, so the daemon calls it on threads of its own. Delivery is at least once: a receiver that
//! must not act twice looks at [`Alert::key`].

mod alert;
mod courier;
mod mail;
mod outbox;
mod secret;
mod webhook;

pub use alert::{Alert, Severity};
pub use courier::{Channel, ChannelError, Courier, DeliverError};
pub use mail::{Credentials, Language, Mail, MailTls};
pub use outbox::{Action, Counters, Input, Limits, Outbox};
pub use secret::Secret;
pub use webhook::Webhook;

/// How long one [`Courier::deliver`] waits for a server's next step (connect, answer), in seconds. A whole webhook call takes
/// at most twice that.
pub const STEP_TIMEOUT_S: u64 = 10;

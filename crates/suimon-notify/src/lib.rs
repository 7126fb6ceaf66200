//! A hand: alerts leave the box by webhook and mail.
//!
//! [`Outbox`] decides what is tried when (pure: time and jitter come in as arguments); [`Courier`] carries one alert over one
//! channel and blocks while it does, so the daemon calls it on threads of its own. Delivery is at least once: a receiver that
//! must not act twice looks at [`Alert::key`].
//!
//! The daemon's loop, with one thread a channel behind `try_on_its_thread`, so that a slow server delays only its own:
//!
//! ```
//! use suimon_base::Timestamp;
//! use suimon_notify::{Action, Input, Outbox};
//!
//! fn take(outbox: &mut Outbox, now: Timestamp, jitter: f64, input: Input) -> Option<Timestamp> {
//!     for action in outbox.step(now, jitter, input) {
//!         match action {
//!             // … courier.deliver(&channel, &alert, now), whose result comes back as Input::Tried
//!             Action::Try { alert, channel } => try_on_its_thread(&channel, &alert.key()),
//!             // … to the ledger
//!             Action::Delivered { id, channel, tries } => record(&format!("{id} {channel} {tries}")),
//!             Action::GivenUp { id, channel, error, .. } => record(&format!("{id} {channel} {error}")),
//!         }
//!     }
//!     outbox.next_due() // when to come back with Input::Tick
//! }
//! # fn try_on_its_thread(_: &str, _: &str) {}
//! # fn record(_: &str) {}
//! ```

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

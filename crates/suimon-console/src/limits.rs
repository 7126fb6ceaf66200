//! Everything that a stranger could make grow, and how far it may.

use std::time::Duration;

/// Largest body of a request, octets. The longest text that the spine takes is 64 KiB; escaped, it still fits.
pub const MAX_BODY_BYTES: usize = 256 << 10;
/// Largest head of a request, octets.
pub const MAX_HEAD_BYTES: usize = 32 << 10;
/// Header lines of a request.
pub const MAX_HEADERS: usize = 64;
/// Connections at once on one listener; further ones wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 256;
/// Time to send a request's head, and time that an idle connection stays open.
pub const HEAD_TIME: Duration = Duration::from_secs(15);
/// Time for a whole request, its body and the answer included. Longer than [`MAX_WAIT_MS`].
pub const REQUEST_TIME: Duration = Duration::from_secs(45);
/// Longest wait of `GET /api/v1/events`, milliseconds.
pub const MAX_WAIT_MS: u64 = 30_000;
/// Time that connections get to finish when the server stops.
pub const STOP_TIME: Duration = Duration::from_secs(2);
/// Pause after a failed accept, such as "too many open files".
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One-time links that are out; the oldest goes when one more is made.
pub const MAX_LINKS: usize = 64;
/// Life of a one-time link, milliseconds: 15 minutes.
pub const LINK_LIFE_MS: i64 = 15 * 60_000;
/// Sessions; the oldest goes when one more begins.
pub const MAX_SESSIONS: usize = 256;
/// Life of a session, milliseconds: 12 hours, a long shift.
pub const SESSION_LIFE_MS: i64 = 12 * 3_600_000;
/// Bearer tokens; the oldest goes when one more is made.
pub const MAX_API_TOKENS: usize = 256;
/// Life of a bearer token, milliseconds: 12 hours.
pub const API_TOKEN_LIFE_MS: i64 = 12 * 3_600_000;

/// Entries of a list where the caller does not say.
pub const DEFAULT_ENTRIES: usize = 100;
/// Most entries of a list.
pub const MAX_ENTRIES: usize = 1_000;
/// Events on a page of the ledger.
pub const EVENTS_PER_PAGE: u64 = 50;

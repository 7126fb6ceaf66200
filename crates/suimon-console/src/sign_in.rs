//! One-time links, sessions and bearer tokens, until accounts exist. All of them live in memory: a restart ends them.

use crate::limits::{API_TOKEN_LIFE_MS, LINK_LIFE_MS, MAX_API_TOKENS, MAX_LINKS, MAX_SESSIONS, SESSION_LIFE_MS};
use crate::random::{Bits, Ratchet, hash, hex};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use suimon_base::{Actor, Timestamp};

/// Who may come in, and who is in.
pub struct SignIn(Mutex<Inner>);

struct Inner {
    ratchet: Ratchet,
    links: Store,
    sessions: Store,
    tokens: Store,
}

/// Secrets by their hash, so that a look into memory or a timing of the lookup does not give them away.
struct Store {
    max: usize,
    life_ms: i64,
    /// Counts what was made, for finding the oldest.
    made: u64,
    entries: HashMap<Bits, Entry>,
}

struct Entry {
    actor: Actor,
    expires: Timestamp,
    number: u64,
}

impl Store {
    fn new(max: usize, life_ms: i64) -> Self {
        Store { max, life_ms, made: 0, entries: HashMap::new() }
    }

    fn add(&mut self, secret: &str, actor: Actor, now: Timestamp) {
        self.entries.retain(|_, e| e.expires > now);
        if self.entries.len() >= self.max {
            let oldest = self.entries.iter().min_by_key(|(_, e)| e.number).map(|(k, _)| *k);
            if let Some(key) = oldest {
                self.entries.remove(&key);
            }
        }
        self.made += 1;
        let entry = Entry { actor, expires: now.plus_ms(self.life_ms), number: self.made };
        self.entries.insert(stored(secret), entry);
    }

    fn find(&self, secret: &str, now: Timestamp) -> Option<Actor> {
        self.entries.get(&stored(secret)).filter(|e| e.expires > now).map(|e| e.actor.clone())
    }

    fn take(&mut self, secret: &str, now: Timestamp) -> Option<Actor> {
        self.entries.remove(&stored(secret)).filter(|e| e.expires > now).map(|e| e.actor)
    }
}

fn stored(secret: &str) -> Bits {
    hash(b"suimon secret", secret.as_bytes())
}

impl SignIn {
    /// Nobody is in. `seed` must come fresh from the operating system's random source at every start.
    pub fn new(seed: [u8; 32]) -> Self {
        SignIn(Mutex::new(Inner {
            ratchet: Ratchet::new(seed),
            links: Store::new(MAX_LINKS, LINK_LIFE_MS),
            sessions: Store::new(MAX_SESSIONS, SESSION_LIFE_MS),
            tokens: Store::new(MAX_API_TOKENS, API_TOKEN_LIFE_MS),
        }))
    }

    /// A token for one sign-in as `actor` within 15 minutes, for `/sign-in?token=…`. At most 64 are out at once; the
    /// oldest goes first.
    pub fn link_token(&self, actor: Actor, now: Timestamp) -> String {
        let mut inner = self.lock();
        let token = inner.ratchet.next();
        inner.links.add(&token, actor, now);
        token
    }

    /// A bearer token for the API as `actor`, good for 12 hours. At most 256 are out at once; the oldest goes first.
    pub fn api_token(&self, actor: Actor, now: Timestamp) -> String {
        let mut inner = self.lock();
        let token = inner.ratchet.next();
        inner.tokens.add(&token, actor, now);
        token
    }

    /// Uses a link up: the new session's value for the cookie, or `None` where the token is unknown, old or used.
    pub(crate) fn begin(&self, token: &str, now: Timestamp) -> Option<String> {
        let mut inner = self.lock();
        let actor = inner.links.take(token, now)?;
        let session = inner.ratchet.next();
        inner.sessions.add(&session, actor, now);
        Some(session)
    }

    /// Whose link it is, without using it up.
    pub(crate) fn link_holder(&self, token: &str, now: Timestamp) -> Option<Actor> {
        self.lock().links.find(token, now)
    }

    pub(crate) fn session(&self, value: &str, now: Timestamp) -> Option<Actor> {
        self.lock().sessions.find(value, now)
    }

    pub(crate) fn end(&self, value: &str) {
        self.lock().sessions.take(value, Timestamp::ZERO);
    }

    pub(crate) fn bearer(&self, token: &str, now: Timestamp) -> Option<Actor> {
        self.lock().tokens.find(token, now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignIn")
    }
}

/// The token that a session's forms carry: made from the session's value, so that it needs no place of its own, and
/// nobody can make it without the cookie.
pub(crate) fn form_token(session: &str) -> String {
    hex(&hash(b"suimon form", session.as_bytes()))
}

/// Equality of secrets by their hashes: the time it takes says nothing about where they differ.
pub(crate) fn same_secret(a: &str, b: &str) -> bool {
    stored(a) == stored(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + s)
    }

    #[test]
    fn a_link_works_once_and_for_fifteen_minutes() {
        let s = SignIn::new([7; 32]);
        let token = s.link_token(Actor::role("approver"), at(0));
        assert_eq!(s.link_holder(&token, at(1)), Some(Actor::role("approver")));
        let session = s.begin(&token, at(2)).unwrap();
        assert_eq!(s.begin(&token, at(2)), None, "used");
        assert_eq!(s.session(&session, at(3)), Some(Actor::role("approver")));
        assert_eq!(s.session(&token, at(3)), None, "a link is no session");
        assert_eq!(s.bearer(&session, at(3)), None, "a session is no bearer token");
        let late = s.link_token(Actor::role("approver"), at(0));
        assert_eq!(s.begin(&late, at(15 * 60)), None, "old");
    }

    #[test]
    fn sessions_and_bearer_tokens_end() {
        let s = SignIn::new([7; 32]);
        let session = s.begin(&s.link_token(Actor::role("a"), at(0)), at(0)).unwrap();
        assert!(s.session(&session, at(12 * 3600 - 1)).is_some());
        assert!(s.session(&session, at(12 * 3600)).is_none());
        s.end(&session);
        assert!(s.session(&session, at(1)).is_none());
        let token = s.api_token(Actor::role("a"), at(0));
        assert!(s.bearer(&token, at(12 * 3600 - 1)).is_some());
        assert!(s.bearer(&token, at(12 * 3600)).is_none());
    }

    #[test]
    fn the_number_outstanding_is_bounded_and_the_newest_stays() {
        let s = SignIn::new([7; 32]);
        let tokens: Vec<String> = (0..=MAX_LINKS).map(|_| s.link_token(Actor::role("a"), at(0))).collect();
        assert!(s.link_holder(&tokens[0], at(1)).is_none());
        assert!(tokens[1..].iter().all(|t| s.link_holder(t, at(1)).is_some()));
    }
}

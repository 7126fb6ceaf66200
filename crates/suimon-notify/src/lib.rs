//! A hand: alerts by webhook and mail, retried.

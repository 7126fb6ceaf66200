//! Sessions with peers: a raw one that keeps the octets, and GoBGP, BIRD and FRR as they are installed.

#![cfg(test)]

mod apply;
mod arrive;
mod bmp;
mod bytes;
mod customer;
mod daemons;
mod gobgp;
mod hand;
mod protected;
mod raw;
mod setup;

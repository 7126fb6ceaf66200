//! A hand: announces and withdraws black holes and Flowspec rules over BGP, behind guard rails.
//!
//! [`hand::BgpHand`] is what the spine calls. It turns an order into [`route::Route`]s ([`convert`]), asks the
//! [`guard::Guard`], and only what the guard cleared ([`guard::Cleared`]) can be handed to an [`announcer::Announcer`].
//! The announcer of this crate's own, [`speaker::Speaker`], keeps one BGP session to each configured peer and one desired set
//! of routes per measure; each session is told what it lacks, again after every loss. When the process dies, its sessions
//! close or their hold time ends, and the peers forget its routes: a crash leaves no filter behind. [`gobgp::Gobgp`] puts
//! the routes into a GoBGP that is there already, reads them back, and finds at the start what a crash left.
//!
//! Pure and without I/O: [`route`], [`codec`], [`table`], [`convert`], [`guard`]. Sessions, sockets and timers:
//! [`speaker`].

pub mod announcer;
pub mod bmp;
pub mod codec;
pub mod config;
pub mod convert;
pub mod customer;
pub mod gobgp;
pub mod guard;
pub mod hand;
mod look;
pub mod route;
pub mod speaker;
pub mod table;
pub mod update;

//! Random requests through every dialect in depth, and what programs of other people make of the text.

mod flowspec_peers;
mod nft_packets;
mod properties;
mod random;
mod readers;
mod round_trip;

//! Drivers against real programs: OpenSSH's server, nft in a namespace, FRR's vtysh, and a NETCONF server of the tests.
//!
//! Nothing of the machine is changed: the servers listen on loopback, and what they change is a namespace of the test.

mod frr;
mod ios;
mod netconf;
mod nft;
mod router;

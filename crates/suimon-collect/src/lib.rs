//! A sense: UDP sockets and workers that turn datagrams into flow records.

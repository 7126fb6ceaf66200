//! Bytes to flow records: NetFlow v5/v9, IPFIX, sFlow v5, pcap.

//! A client of etcd's v3 API, as far as Slipway's agents need it.

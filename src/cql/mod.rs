//! CQL, the language of ScyllaDB and Cassandra: what whoever writes a keyspace, reads it or changes
//! its tables has in common.

pub(crate) mod bound;
pub(crate) mod connect;
pub(crate) mod decode;
pub(crate) mod document;
pub(crate) mod encode;
pub(crate) mod fault;
pub(crate) mod kind;
pub(crate) mod literal;
pub(crate) mod number;
pub(crate) mod quote;
pub(crate) mod shape;
pub(crate) mod vint;

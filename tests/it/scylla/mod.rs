//! ScyllaDB and Cassandra: the program writing into keyspaces of the tests' own.

mod faults;
mod killed;
mod policies;
mod reading;
mod rehearsed;
mod toy;
mod verified;
mod writing;

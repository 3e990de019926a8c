//! Integration tests, one binary: against real servers, through the program as its user runs it.
#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that fails says so by panicking, and prints its seed"
)]

mod bad_input;
mod casts;
mod cli;
mod docs;
mod exactly_once;
mod faults;
mod files;
mod game;
mod harness;
mod items;
mod postgres_catalog;
mod postgres_sink;
mod proxy;
mod rehearsal;
mod schema;
mod source_sqlite;
mod sqlite_session;
mod sqlite_sink;

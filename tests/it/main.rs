//! Integration tests, one binary: against real servers, through the program as its user runs it.
#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that fails says so by panicking, and prints its seed"
)]

mod away;
mod backfill;
mod backup;
mod bad_input;
mod bento;
mod cassandra;
mod casts;
mod checkpoint;
mod cli;
mod cosmos;
mod coverage;
mod deferred;
mod docs;
mod documents;
#[path = "../emulator/mod.rs"]
mod emulator;
mod exactly_once;
mod fan_out;
mod faults;
mod fence;
mod files;
mod foreign_keys;
mod game;
mod game_redis;
mod harness;
mod introspect;
mod items;
mod keyed;
mod memory;
mod metrics;
mod mindia;
mod new_database;
mod nostria;
mod pace;
mod parallel;
mod postgres_catalog;
mod postgres_passing;
mod postgres_sink;
mod postgres_types;
mod projects;
mod proxy;
mod reading;
mod redis;
mod rehearsal;
mod repair;
mod report;
mod role;
mod rollback;
mod rollback_keys;
mod runbook;
mod schema;
mod schema_cql;
mod scylla;
mod server;
mod source_away;
mod source_postgres;
mod source_sqlite;
mod sqlite_session;
mod sqlite_sink;
mod stored_order;
mod subject;
mod trail;
mod verify;
mod verify_command;
mod vyry;

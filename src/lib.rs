//! dbferry moves data between databases and proves that it arrived.
//!
//! ```text
//! source ──SourceBatch──▶ transform ──TargetBatch──▶ session ──commit(rows + checkpoint)──▶ ledger
//!    ▲                        │ rejects                  │ figures
//!    └── resume position ─────┴───────▶ reject store     └─▶ validation (counts, digest)
//! ```
//!
//! Modules stand in the order of the flow. Imports go downwards only:
//! `main → cli → repair → verify → {backup, pipeline, schema, starter} → {source, transform, sink} → {postgres, cql, ledger}
//! → {mapping, config} → document → data → error`; `tests/tidy.rs` enforces it.
//!
//! # Invariants
//!
//! Cited where they are enforced as `Invariant N`.
//!
//! 1. A checkpoint never covers a row that is neither durable in the target nor in the reject
//!    store.
//! 2. Checkpoints of a split only move forward, one batch at a time.
//! 3. Writing the same batch twice leaves the target as writing it once.
//! 4. read = filtered + expired + rejected + skipped + inserted + updated, for every batch, split,
//!    stream and run.
//! 5. A mapping is deterministic: same row in, same row out.
//! 6. No value is changed silently: a cast that would lose something is a reject, not a
//!    rounding, unless the mapping allows it by name.
//! 7. Everything is bounded: rows and bytes per batch, splits in flight, retries, rejects, time,
//!    memory.
//! 8. A resume under a different mapping or connection fingerprint is refused.
//! 9. Secrets and cell values never reach logs, errors or events.
//! 10. Verify shares no shortcut with the copy: it reads both sides itself and never writes.
//! 11. An identifier that the target would cut or fold is refused.
//! 12. A position is used only after it was read under its lock on the connection that writes.
//! 13. Two source rows never end in one target key.
//! 14. A checkpoint names its source moment.
//! 15. Server text never leaves the driver layer unclassified.
//! 16. What was not checked is never counted as equal.
//! 17. Durable means surviving that store's own crash and failover.

pub mod error;

pub mod data;
pub mod document;

pub mod config;
pub mod mapping;

pub mod cql;
pub mod ledger;
pub mod postgres;

pub mod sink;
pub mod source;
pub mod transform;

pub mod backup;
pub mod pipeline;
pub mod schema;
pub mod starter;

pub mod verify;

pub mod repair;

pub mod cli;

pub use error::{Error, ErrorKind, Result};

//! Typed values: `{ env = "NAME" }`, `{ file = "path" }`, `{ value = "text" }`.

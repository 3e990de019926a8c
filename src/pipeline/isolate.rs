//! Finding the row that a target refuses.

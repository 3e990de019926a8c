//! Encoding ahead: rows in the form in which a sink sends them, made where they are transformed, so
//! that the target is given work as soon as it has done the last.

use std::any::Any;

use arrow::record_batch::RecordBatch;

/// Makes rows of the stream that a session has open ready to be sent. It asks the target nothing.
pub trait Encode: Send + Sync {
    /// These rows, in the form of [`super::Session::write`], ready to be sent; `None` where the
    /// session has to look at them itself, because something is wrong with one of them.
    fn encode(&self, rows: &RecordBatch) -> Option<Encoded>;
}

/// Rows that are ready to be sent: known only to the sink that made them.
pub struct Encoded(Box<dyn Any + Send>);

impl Encoded {
    /// Hides what was made.
    pub(super) fn new(made: impl Any + Send) -> Self {
        Self(Box::new(made))
    }

    /// What was made, if it is that.
    pub(super) fn into_made<T: Any>(self) -> Option<T> {
        self.0.downcast().ok().map(|made| *made)
    }
}

//! Where lists begin and end among their items, while a column of lists is decoded.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;

use super::column::ColumnType;

/// The lists so far; their items are kept by whoever decodes them.
pub(crate) struct Lists {
    /// Items so far, which is where the next list begins.
    count: i32,
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

impl Lists {
    /// None yet, of about so many rows.
    pub(crate) fn with_capacity(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            count: 0,
            offsets,
            valid: Vec::with_capacity(rows),
        }
    }

    /// One more item of the list that is open; `None` where Arrow counts no further.
    pub(crate) fn item(&mut self) -> Option<()> {
        self.count = self.count.checked_add(1)?;
        Some(())
    }

    /// Ends a row. Items of a list that was given up lie behind a NULL.
    pub(crate) fn end(&mut self, valid: bool) {
        self.offsets.push(self.count);
        self.valid.push(valid);
    }

    /// The column, of a list's type and with its items.
    pub(crate) fn finish(self, ty: &ColumnType, items: ArrayRef) -> ArrayRef {
        let DataType::List(item) = ty.arrow() else {
            return arrow::array::new_null_array(&ty.arrow(), self.valid.len());
        };
        let nulls = self.valid.contains(&false).then(|| NullBuffer::from(self.valid));
        Arc::new(ListArray::new(item, OffsetBuffer::new(self.offsets.into()), items, nulls))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _, Int32Array};

    use super::*;

    #[test]
    fn items_of_a_list_that_was_given_up_are_in_none() {
        let mut lists = Lists::with_capacity(3);
        for (items, valid) in [(2, true), (1, false), (0, true)] {
            for _ in 0..items {
                lists.item().expect("few");
            }
            lists.end(valid);
        }
        let ty = ColumnType::List(Box::new(ColumnType::Int32));
        let column = lists.finish(&ty, Arc::new(Int32Array::from(vec![1, 2, 3])));
        let column = column.as_list::<i32>();
        assert_eq!((column.len(), column.is_null(1)), (3, true));
        assert_eq!((column.value(0).len(), column.value(2).len()), (2, 0));
    }
}

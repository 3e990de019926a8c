//! COPY BINARY: rows of a `RecordBatch` in the form that `copy … from stdin (format binary)`
//! reads, written straight from the Arrow buffers.
//!
//! What each column needs is decided once per batch; then rows are written one after another
//! into the caller's buffer, which is reused, so that nothing is allocated per row or value.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;

use super::carried::Carried;
use super::field::Field;
use crate::data::column::ColumnType;
use crate::{Error, ErrorKind, Result};

/// Signature, flags and length of the header extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// A column of the target as the wire needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireColumn {
    /// Name, for refusals.
    pub name: String,
    /// Type of the values; of a domain, that of its base.
    pub ty: ColumnType,
    /// Identity of the binary form that values may come in already, see
    /// [`crate::data::table::Column::wire`].
    pub wire: Option<String>,
    /// Object ids that travel with every value.
    pub carried: Carried,
}

/// What is written of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WireTable {
    /// Its columns, in the order of the batches.
    pub columns: Vec<WireColumn>,
    /// Columns of each constraint and unique index by its name, joined by commas; for refusals.
    pub constraints: BTreeMap<String, String>,
}

impl WireTable {
    /// The columns that a constraint is about.
    pub(super) fn constraint_columns(&self, name: &str) -> Option<&str> {
        self.constraints.get(name).map(String::as_str)
    }
}

/// Writes the rows of one batch, a chunk at a time.
pub struct Encoder<'a> {
    fields: Vec<Field<'a>>,
    /// Number of fields of every row, as it is sent.
    count: [u8; 2],
    rows: usize,
    next: usize,
}

impl<'a> Encoder<'a> {
    /// What the first chunk begins with.
    pub(crate) const HEADER_BYTES: usize = HEADER.len();
    /// A field count of -1 ends the data.
    pub(crate) const TRAILER: [u8; 2] = (-1i16).to_be_bytes();

    /// An encoder for `rows`, whose columns are `columns` in order.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for a value that can be seen to have no wire form at once;
    /// [`ErrorKind::Internal`] where a column is not what its type promises.
    pub fn new(rows: &'a RecordBatch, columns: &'a [WireColumn]) -> Result<Self> {
        let count = i16::try_from(columns.len())
            .ok()
            .filter(|_| rows.num_columns() == columns.len())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    format!("{} columns to write, but {} in the batch", columns.len(), rows.num_columns()),
                )
            })?;
        let fields = columns
            .iter()
            .zip(rows.columns().iter().zip(rows.schema_ref().fields()))
            .map(|(column, (array, field))| Field::new(column, field, array.as_ref()))
            .collect::<Result<_>>()?;
        Ok(Self {
            fields,
            count: count.to_be_bytes(),
            rows: rows.num_rows(),
            next: 0,
        })
    }

    /// Appends whole rows until `out` holds at least `bytes_min` bytes or none is left. Returns
    /// whether there are more. The first chunk begins with the header, the last one ends with
    /// the trailer.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for a value without a wire form; `out` then ends after the last
    /// whole row.
    pub fn encode(&mut self, out: &mut Vec<u8>, bytes_min: usize) -> Result<bool> {
        if self.next == 0 {
            out.extend_from_slice(HEADER);
        }
        while self.next < self.rows {
            if out.len() >= bytes_min {
                return Ok(true);
            }
            let start = out.len();
            out.extend_from_slice(&self.count);
            for field in &self.fields {
                if let Err(error) = field.put(self.next, out) {
                    out.truncate(start);
                    return Err(error);
                }
            }
            self.next += 1;
        }
        out.extend_from_slice(&Self::TRAILER);
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, StringArray, TimestampMicrosecondArray};

    use super::*;
    use crate::data::reject::Reason;

    fn column(name: &str, ty: &str) -> WireColumn {
        WireColumn {
            name: name.to_owned(),
            ty: ColumnType::parse(ty).expect(ty),
            wire: None,
            carried: Carried::Nothing,
        }
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).expect("columns of equal length")
    }

    #[test]
    fn rows_are_framed_as_the_server_reads_them() {
        let rows = batch(vec![
            ("id", Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef),
            ("name", Arc::new(StringArray::from(vec![Some("é"), Some("")]))),
        ]);
        let columns = [column("id", "integer"), column("name", "text")];
        let mut out = Vec::new();
        assert!(
            !Encoder::new(&rows, &columns)
                .expect("fits")
                .encode(&mut out, usize::MAX)
                .expect("fits")
        );
        let mut expected = HEADER.to_vec();
        expected.extend([0, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0xc3, 0xa9]);
        expected.extend([0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        expected.extend([0xff, 0xff]);
        assert_eq!(out, expected);
    }

    #[test]
    fn chunks_joined_are_the_whole() {
        let rows = batch(vec![("id", Arc::new(Int32Array::from_iter_values(0..1000)) as ArrayRef)]);
        let columns = [column("id", "integer")];
        let mut whole = Vec::new();
        Encoder::new(&rows, &columns)
            .expect("fits")
            .encode(&mut whole, usize::MAX)
            .expect("fits");
        let (mut joined, mut chunk) = (Vec::new(), Vec::new());
        let mut encoder = Encoder::new(&rows, &columns).expect("fits");
        loop {
            chunk.clear();
            let more = encoder.encode(&mut chunk, 100).expect("fits");
            assert!(chunk.len() < 200);
            joined.extend_from_slice(&chunk);
            if !more {
                break;
            }
        }
        assert_eq!(whole, joined);
    }

    #[test]
    fn a_value_without_a_form_names_its_column_and_leaves_whole_rows() {
        let rows = batch(vec![(
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MIN + 1])) as ArrayRef,
        )]);
        let columns = [column("at", "timestamp")];
        let mut out = Vec::new();
        let error = Encoder::new(&rows, &columns)
            .expect("fits")
            .encode(&mut out, usize::MAX)
            .expect_err("out of range");
        let refusal = error.refusal().expect("a refusal");
        assert_eq!((refusal.reason, refusal.column.as_deref()), (Reason::OutOfRange, Some("at")));
        assert_eq!(out.len(), HEADER.len() + 14);
    }

    #[test]
    fn a_nul_byte_is_seen_before_anything_is_sent() {
        let rows = batch(vec![("t", Arc::new(StringArray::from(vec!["a", "b\0c"])) as ArrayRef)]);
        let columns = [column("t", "text")];
        let error = Encoder::new(&rows, &columns).err().expect("refused");
        assert_eq!(error.refusal().expect("a refusal").reason, Reason::NulByte);
        assert!(
            Encoder::new(&rows.slice(0, 1), &columns).is_ok(),
            "only the rows of the slice count"
        );
    }

    #[test]
    fn what_comes_in_binary_form_is_sent_as_it_is_with_the_target_s_ids() {
        let passed = |wire: &str, values: &[Option<&[u8]>]| {
            let name = wire.to_owned();
            let schema = arrow::datatypes::Schema::new(vec![ColumnType::Opaque { name }.field("c", true)]);
            let array: ArrayRef = Arc::new(arrow::array::BinaryArray::from(values.to_vec()));
            RecordBatch::try_new(Arc::new(schema), vec![array]).expect("one column")
        };
        let sent = |rows: &RecordBatch, column: WireColumn| {
            let columns = [column];
            let mut out = Vec::new();
            Encoder::new(rows, &columns)?.encode(&mut out, usize::MAX)?;
            Ok::<_, Error>(out[19..out.len() - 2].to_vec())
        };
        let mut numeric = column("c", "numeric(7,2)");
        numeric.wire = Some("numeric".to_owned());
        let out = sent(&passed("numeric", &[Some(&[1, 2, 3]), None]), numeric.clone()).expect("fits");
        assert_eq!(out, [0, 1, 0, 0, 0, 3, 1, 2, 3, 0, 1, 0xff, 0xff, 0xff, 0xff]);
        let error = sent(&passed("money", &[]), numeric).expect_err("another form");
        assert_eq!(error.kind(), ErrorKind::Internal);
        let mut list = column("c", "text[]");
        list.wire = Some("enum[]".to_owned());
        list.carried = Carried::Array {
            element: 7,
            inner: Box::default(),
        };
        let out = sent(
            &passed("enum[]", &[Some(&[0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9])]),
            list.clone(),
        )
        .expect("fits");
        assert_eq!(out, [0, 1, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        let error = sent(&passed("enum[]", &[Some(&[0])]), list).expect_err("no array");
        assert_eq!(error.refusal().expect("a refusal").reason, Reason::Unreadable);
    }

    #[test]
    fn a_column_of_another_type_is_our_own_fault() {
        let rows = batch(vec![("id", Arc::new(Int32Array::from(vec![1])) as ArrayRef)]);
        let error = Encoder::new(&rows, &[column("id", "bigint")]).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(Encoder::new(&rows, &[]).is_err());
    }
}

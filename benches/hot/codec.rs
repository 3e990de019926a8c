//! COPY in binary form both ways, and the digest of what is sent.

use std::hint::black_box;

use arrow::record_batch::RecordBatch;
use dbferry::data::column::ColumnType;
use dbferry::data::digest::Digest;
use dbferry::postgres::carried::Carried;
use dbferry::postgres::decode::{ColumnDecoder, Fields};
use dbferry::postgres::encode::{Encoder, WireColumn};

use super::{ROWS, Ready, players};

/// As many bytes as a portion is sent in at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Signature, flags and length of the header extension.
const HEADER_BYTES: usize = 19;

/// Players as they are written.
fn rows() -> RecordBatch {
    let transform = players::transform(&players::BARE);
    transform.apply(&players::batch(&transform)).expect("a batch").rows
}

fn columns() -> Vec<WireColumn> {
    let column = |(name, ty): &(&str, &str)| WireColumn {
        name: (*name).to_owned(),
        ty: ColumnType::parse(ty).expect("a type"),
        wire: None,
        carried: Carried::Nothing,
    };
    players::TARGET.iter().map(column).collect()
}

/// Encodes rows, a chunk at a time; gives each to `sent`.
fn encode(rows: &RecordBatch, columns: &[WireColumn], buffer: &mut Vec<u8>, mut sent: impl FnMut(&[u8])) {
    let mut encoder = Encoder::new(rows, columns).expect("rows that have a form");
    loop {
        buffer.clear();
        let more = encoder.encode(buffer, CHUNK_BYTES).expect("rows that have a form");
        sent(buffer);
        if !more {
            return;
        }
    }
}

pub(super) fn encode_postgres() -> Ready {
    let (rows, columns, mut buffer) = (rows(), columns(), Vec::new());
    Box::new(move || {
        let mut bytes = 0;
        encode(black_box(&rows), &columns, &mut buffer, |chunk| bytes += chunk.len());
        assert!(black_box(bytes) > ROWS, "every row is sent");
    })
}

pub(super) fn decode_postgres() -> Ready {
    let (rows, columns) = (rows(), columns());
    let mut sent = Vec::new();
    encode(&rows, &columns, &mut Vec::new(), |chunk| sent.extend_from_slice(chunk));
    let mut decoders: Vec<_> = columns.iter().map(|column| ColumnDecoder::new(&column.ty, ROWS)).collect();
    Box::new(move || {
        let mut rest = &black_box(&sent)[HEADER_BYTES..];
        for _ in 0..ROWS {
            let mut fields = Fields::new(&rest[2..], decoders.len());
            for decoder in &mut decoders {
                let field = fields.next().expect("a whole row");
                decoder.append(field).expect("a value of its type");
            }
            rest = fields.rest();
        }
        let rows: Vec<_> = decoders.iter_mut().map(ColumnDecoder::finish).collect();
        assert!(black_box(rows).iter().all(|column| column.len() == ROWS));
    })
}

pub(super) fn digest() -> Ready {
    let rows = rows();
    Box::new(move || {
        let digest = Digest::of(black_box(&rows));
        assert_eq!(black_box(digest).rows, ROWS as u64);
    })
}

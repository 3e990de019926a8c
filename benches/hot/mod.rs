//! What is done with every row on its way, each step alone: the work that `hot_path` measures in
//! time and `instructions` in instructions.

use std::hint::black_box;

mod codec;
mod players;
mod table;

/// Rows that each step works on: one portion.
pub(crate) const ROWS: usize = 8_192;

/// A step of the way, ready to be carried out any number of times.
pub(crate) type Ready = Box<dyn FnMut()>;

/// A step's name, as in benches/instructions.txt, and what makes it ready.
pub(crate) type Step = (&'static str, fn() -> Ready);

/// All of them.
pub(crate) const STEPS: [Step; 6] = [
    ("read_sqlite", table::sqlite),
    ("decode_postgres", codec::decode_postgres),
    ("transform_bare", || transform(&players::BARE)),
    ("transform_computed", || transform(&players::COMPUTED)),
    ("digest", codec::digest),
    ("encode_postgres", codec::encode_postgres),
];

fn transform(columns: &[(&str, &str)]) -> Ready {
    let transform = players::transform(columns);
    let batch = players::batch(&transform);
    Box::new(move || {
        let applied = transform.apply(black_box(&batch)).expect("a batch");
        assert_eq!(black_box(&applied).rows.num_rows(), ROWS, "every row passes");
    })
}

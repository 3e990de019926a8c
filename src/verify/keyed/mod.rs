//! Verifying keys: both sides of a stream that writes keys, in the form in which they are compared.
//!
//! The source's rows go through the mapping and are then written as the sink writes them: the keys
//! by [`Keys`](crate::data::keyed::Keys), the values by [`Values`](crate::data::keyed::text::Values).
//! That code is the sink's, too: where it writes a value in a form that means something else, both
//! sides have it so, and nothing here can see it. What is made of the values (JSON objects, places in
//! lists, ids of entries, which of two rows of one key counts, what has expired) is made here anew.

use std::sync::Arc;

use super::group::{self, Ends, Group, Member};
use super::side::{self, Compared};
use crate::data::keyed::{Form, Layout};
use crate::pipeline::plan::{Plan, PlannedStream};
use crate::sink::Sink;
use crate::{Error, ErrorKind, Result};

mod places;
mod reading;
mod rendered;
mod source;
mod target;

use source::KeyedSource;
use target::KeyedTarget;

/// What both sides of a stream have to know of it.
struct Keyed {
    layout: Arc<Layout>,
    /// Columns of the keys' rows.
    form: Arc<Form>,
    /// The same for who compares.
    compared: side::Form,
    /// Store of the keys.
    sink: Arc<dyn Sink>,
}

/// A stream that writes keys, and these: no other stream writes them.
///
/// # Errors
/// By kind, where the server cannot be asked what it is, or for its recorded rejects.
pub(super) async fn group(
    plan: &Plan,
    stream: &PlannedStream,
    layout: &Arc<Layout>,
    ends: &Ends<'_>,
    condition: Option<&str>,
) -> Result<Group> {
    let source = group::open(ends.sources, &stream.source_connection)?;
    let subject = group::restricted(stream, condition);
    let sink = Arc::clone(&plan.sinks[&stream.sink_connection]);
    let facts = sink.key_facts().await?;
    let form = Arc::new(Form::of(layout, &facts));
    let keyed = Arc::new(Keyed {
        compared: compared(&form),
        layout: Arc::clone(layout),
        form,
        sink,
    });
    let written = plan.writers.of(&stream.name).ok_or_else(|| {
        let what = format!("stream `{}` is not known to write keys", stream.name);
        Error::new(ErrorKind::Internal, what)
    })?;
    let hidden = keyed.made_of(&super::masked(stream));
    let source = KeyedSource::new(Arc::clone(&keyed), stream, (source, subject), ends.limits);
    Ok(Group {
        members: vec![Member {
            name: stream.name.clone(),
            source: Arc::new(source),
            form: 0,
            recorded: Arc::new(group::recorded(plan, stream).await?),
            rows_estimate: stream.rows_estimate.unwrap_or(group::ROWS_UNKNOWN),
        }],
        targets: vec![Arc::new(KeyedTarget::new(keyed, written, ends.limits))],
        extras: true,
        negative_zero: true,
        masked: hidden.into_iter().collect(),
        subject: None,
    })
}

/// Why a stream cannot be compared, where only the rows of a condition are.
pub(super) fn not_compared(stream: &PlannedStream, has_condition: bool) -> Option<String> {
    let key_type = stream.keyed.as_ref()?.key_type;
    (has_condition && key_type.is_ordered()).then(|| {
        format!(
            "not compared: the place of an element in a {} is not to be had without the rows before it",
            key_type.name()
        )
    })
}

fn whole() -> Error {
    Error::new(ErrorKind::Internal, "keys are read as a whole, not in pieces")
}

impl Keyed {
    /// Columns of the form that are made of one of these columns of the mapping.
    fn made_of(&self, columns: &[String]) -> Vec<String> {
        let hidden = |place: &usize| {
            let made_of = self.form.made_of(&self.layout, *place);
            made_of.iter().any(|column| columns.iter().any(|hidden| hidden == column))
        };
        let places = (0..self.form.columns.len()).filter(hidden);
        places.map(|place| self.form.columns[place].name.clone()).collect()
    }
}

fn compared(form: &Form) -> side::Form {
    let columns = form.columns.iter().map(|column| Compared {
        name: column.name.clone(),
        ty: column.ty.clone(),
        unordered: false,
    });
    side::Form {
        columns: columns.collect(),
        key: (0..form.key_columns).collect(),
    }
}

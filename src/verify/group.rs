//! Streams that write one table, and that table: what is compared as one.
//!
//! The rows of all of them are united before any row of the table is called extra.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::canonical::{self, Canonical};
use super::mapped_side::{self, MappedSide};
use super::side::{Form, Side};
use super::subject::Carried;
use super::table_side::TableSide;
use super::together::Seats;
use crate::config::connection::{Connection, ConnectionKind};
use crate::config::limits::Limits;
use crate::data::position::Key;
use crate::data::stream::Subject;
use crate::pipeline::plan::{Plan, PlannedStream};
use crate::sink::Sink;
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// Rows of a source that does not tell.
pub(super) const ROWS_UNKNOWN: u64 = 1_000_000;

/// Recorded rejects that are read at once.
const REJECTS_AT_ONCE: u32 = 10_000;

/// A stream of a group.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) source: Arc<dyn Side>,
    /// Which of the group's target sides has the same form.
    pub(super) form: usize,
    /// Open recorded rejects, by the hashes of their source keys.
    pub(super) recorded: Arc<HashSet<u128>>,
    /// Rows of its source, roughly.
    pub(super) rows_estimate: u64,
}

/// Streams and their target.
pub(super) struct Group {
    pub(super) members: Vec<Member>,
    /// The target in the form of each member; one where all write the same columns.
    pub(super) targets: Vec<Arc<dyn Side>>,
    /// Rows that no member covers are extra: no other stream writes the table.
    pub(super) extras: bool,
    /// The target keeps a negative zero.
    pub(super) negative_zero: bool,
    /// Columns that must not be shown.
    pub(super) masked: HashSet<String>,
    /// Where the target carries the subject, if there is one.
    pub(super) subject: Option<Carried>,
}

/// Ends of a plan that are open, with what they are.
pub(super) struct Ends<'a> {
    pub(super) sources: &'a BTreeMap<String, Arc<dyn Source>>,
    pub(super) tables: &'a BTreeMap<String, Arc<dyn Source>>,
    pub(super) connections: &'a BTreeMap<String, Connection>,
    pub(super) limits: Limits,
    /// Where streams read together.
    pub(super) seats: &'a Seats,
}

/// Places of the plan's streams, those that write one target together.
pub(super) fn places(plan: &Plan) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, stream) in plan.streams.iter().enumerate() {
        let same = |group: &&mut Vec<usize>| {
            let first = &plan.streams[group[0]];
            first.sink_connection == stream.sink_connection && first.write.table == stream.write.table
        };
        match groups.iter_mut().find(same) {
            Some(group) if stream.keyed.is_none() => group.push(place),
            _ => groups.push(vec![place]),
        }
    }
    groups
}

/// What identifies a source row among recorded rejects.
pub(super) fn reject_hash(key: &Key) -> u128 {
    canonical::bytes_hash(crate::data::position::Position::Key(key.clone()).to_json().as_bytes())
}

impl Group {
    /// The group of these streams.
    ///
    /// # Errors
    /// What opening the target's side or reading the recorded rejects fails with.
    pub(super) async fn open(plan: &Plan, places: &[usize], ends: &Ends<'_>, condition: Option<&str>) -> Result<Self> {
        let first = &plan.streams[places[0]];
        if let Some(layout) = &first.keyed {
            return super::keyed::group(plan, first, layout, ends, condition).await;
        }
        let kind = &connection(ends, &first.sink_connection)?.kind;
        let mut group = Self {
            members: Vec::new(),
            targets: Vec::new(),
            extras: first.shares_with.iter().all(|other| planned(plan, other)),
            negative_zero: !matches!(kind, ConnectionKind::Sqlite { .. }),
            masked: HashSet::new(),
            subject: None,
        };
        if first.subject.is_some() && condition.is_none() && group.extras {
            let source = open(ends.tables, &first.sink_connection)?;
            let form = mapped_side::form(first);
            let table = TableSide::open(source, kind, &first.write, form, ends.limits).await?;
            group.subject = Some(Carried::new(first, table, kind));
        }
        let mut forms: Vec<Form> = Vec::new();
        for place in places {
            let stream = &plan.streams[*place];
            let form = mapped_side::form(stream);
            let same = forms.iter().position(|known| *known == form);
            if same.is_none() {
                let source = open(ends.tables, &stream.sink_connection)?;
                let target = TableSide::open(source, kind, &stream.write, form.clone(), ends.limits).await?;
                group.targets.push(Arc::new(target));
                forms.push(form);
            }
            let source = open(ends.sources, &stream.source_connection)?;
            let subject = restricted(stream, condition);
            if let (Some(subject), Some(_)) = (&subject, condition) {
                source.check_subject(&stream.origin, &subject.condition).await?;
            }
            group.masked.extend(super::masked(stream));
            let seat = ends.seats.take(*place);
            group.members.push(Member {
                name: stream.name.clone(),
                source: Arc::new(MappedSide::new(stream, source, (subject, seat), ends.limits)),
                form: same.unwrap_or(forms.len() - 1),
                recorded: Arc::new(recorded(plan, stream).await?),
                rows_estimate: stream.rows_estimate.unwrap_or(ROWS_UNKNOWN),
            });
        }
        Ok(group)
    }

    /// Hashes rows of a form.
    pub(super) fn canonical(&self, form: usize) -> Canonical {
        Canonical::new(self.targets[form].form(), self.negative_zero)
    }

    /// About how many rows its sources have.
    pub(super) fn rows_estimate(&self) -> u64 {
        self.members.iter().map(|member| member.rows_estimate).sum()
    }

    /// Name of the stream that the whole group is told under.
    pub(super) fn name(&self) -> &str {
        &self.members[0].name
    }
}

fn planned(plan: &Plan, name: &str) -> bool {
    plan.streams.iter().any(|stream| stream.name == name)
}

pub(super) fn open(ends: &BTreeMap<String, Arc<dyn Source>>, name: &str) -> Result<Arc<dyn Source>> {
    let end = ends.get(name).map(Arc::clone);
    end.ok_or_else(|| Error::new(ErrorKind::Internal, format!("connection `{name}` was not opened to be read")))
}

fn connection<'a>(ends: &'a Ends<'_>, name: &str) -> Result<&'a Connection> {
    let found = ends.connections.get(name);
    found.ok_or_else(|| Error::new(ErrorKind::Internal, format!("connection `{name}` was not resolved")))
}

/// The rows of the plan's subject, and of those only those for which the condition holds.
pub(super) fn restricted(stream: &PlannedStream, condition: Option<&str>) -> Option<Subject> {
    match (&stream.subject, condition) {
        (subject, None) => subject.clone(),
        (Some(subject), Some(condition)) => Some(Subject {
            condition: format!("({}\n) and (\n{condition}\n)", subject.condition),
            key: subject.key.clone(),
        }),
        // A source wants its conditions to name a key: an empty one is the same as itself.
        (None, Some(condition)) => Some(Subject {
            condition: format!("(\n{condition}\n) and $key = ''"),
            key: String::new(),
        }),
    }
}

pub(super) async fn recorded(plan: &Plan, stream: &PlannedStream) -> Result<HashSet<u128>> {
    let mut found = HashSet::new();
    let Some(sink) = plan.sinks.get(&stream.sink_connection) else {
        return Ok(found);
    };
    let sink: &dyn Sink = sink.as_ref();
    let mut after = 0;
    loop {
        let some = sink
            .rejects(&plan.project, Some(&stream.name), after, REJECTS_AT_ONCE)
            .await?;
        let Some(last) = some.last() else { return Ok(found) };
        after = last.id;
        found.extend(some.iter().map(|reject| reject_hash(&reject.key)));
    }
}

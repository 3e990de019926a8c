//! What fills each column of a target, as far as both shapes tell: the column of the same name,
//! if the transform itself finds that it can be taken over.

use super::pair::source_column;
use super::{draft, remark};
use crate::data::column::ColumnType;
use crate::data::document::NAME_BYTES_MAX;
use crate::data::table::{Column, Fill, Table};
use crate::transform::{self, column_expression};

/// A line of `[stream.columns]`.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    /// Target column.
    pub(super) column: &'a Column,
    /// What fills it, or would.
    pub(super) expression: Option<String>,
    /// Source column, where the line takes one.
    pub(super) source: Option<&'a Column>,
    /// What there is to say.
    pub(super) remarks: Vec<String>,
    /// Whether the line is live.
    pub(super) state: State,
}

/// Whether a line is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It takes a source column over.
    Mapped,
    /// It fills a column that needs a value, and somebody has to choose which.
    Choose,
    /// It is a comment.
    Out,
}

impl Line<'_> {
    /// Whether the column gets a value from the source.
    pub(super) fn is_mapped(&self) -> bool {
        self.state == State::Mapped
    }

    /// The source column that it takes as it is.
    pub(super) fn taken(&self) -> Option<&str> {
        let source = self.source.filter(|_| self.is_mapped())?;
        (self.expression.as_deref() == Some(&column_expression(&source.name))).then_some(&source.name)
    }
}

/// The lines of all columns, in the target's order. Without a source they are all open.
pub(super) fn lines<'a>(source: Option<&'a Table>, target: &'a Table) -> Vec<Line<'a>> {
    target.columns.iter().map(|column| line(source, target, column)).collect()
}

/// Whether somebody has to give the column a value.
pub(super) fn is_required(column: &Column) -> bool {
    !column.nullable && column.fill == Fill::Nothing
}

fn line<'a>(source: Option<&'a Table>, target: &'a Table, column: &'a Column) -> Line<'a> {
    let out = |expression: Option<String>, remark: &str| Line {
        column,
        expression,
        source: None,
        remarks: vec![remark.to_owned()],
        state: State::Out,
    };
    if column.fill == Fill::Generated {
        return out(None, "the target computes it");
    }
    if column.name.is_empty() || column.name.contains('\0') || column.name.len() > NAME_BYTES_MAX {
        return out(None, &format!("a mapping takes names of 1 to {NAME_BYTES_MAX} bytes"));
    }
    let Some(source) = source else {
        return out(Some("…".to_owned()), &remark::wanted(column, is_required(column)));
    };
    let found = source_column(source, target, &column.name).and_then(|name| source.column(name));
    let taken = found.and_then(|found| taken_over(source, found, target, column));
    match taken {
        Some(line) if line.is_mapped() || !is_required(column) => line,
        Some(line) => Line {
            remarks: line.remarks.into_iter().chain(chosen(column).remarks).collect(),
            ..chosen(column)
        },
        None if is_required(column) => chosen(column),
        None => match column.fill {
            Fill::Nothing => out(
                Some("…".to_owned()),
                &format!("{}; not in the source, so it stays NULL", column.ty),
            ),
            Fill::Default | Fill::Sequence | Fill::Generated => out(
                Some("…".to_owned()),
                &format!("{}; not in the source, so it gets its default", column.ty),
            ),
        },
    }
}

/// A source column for a target column: live where it can be taken over as it is, or has to be
/// filled and can be converted.
fn taken_over<'a>(source: &Table, found: &'a Column, target: &Table, column: &'a Column) -> Option<Line<'a>> {
    let bare = column_expression(&found.name);
    let line = |expression: String, remarks: Vec<String>, state| {
        Some(Line {
            column,
            expression: Some(expression),
            source: Some(found),
            remarks,
            state,
        })
    };
    match verdict(source, target, column, &bare) {
        Verdict::Fits => line(bare, Vec::new(), State::Mapped),
        Verdict::Doubtful(why) if is_required(column) => {
            let remark = format!("{}: {why}", remark::arrow(&found.ty, &column.ty));
            line(bare, vec![remark], State::Mapped)
        }
        Verdict::Doubtful(why) | Verdict::Not(why) => {
            let types = remark::arrow(&found.ty, &column.ty);
            match converted(&bare, &column.ty).filter(|sql| verdict(source, target, column, sql) == Verdict::Fits) {
                Some(sql) if is_required(column) => line(
                    sql,
                    vec![format!("{types}: converted, for it has to have a value")],
                    State::Mapped,
                ),
                Some(sql) => line(sql, vec![format!("{types}: {why}; so it is converted")], State::Out),
                None => line(bare, vec![format!("{types}: {why}")], State::Out),
            }
        }
    }
}

/// A written cast to the target's type.
fn converted(bare: &str, ty: &ColumnType) -> Option<String> {
    let name = ty.to_string();
    ColumnType::parse(&name).map(|_| format!("{bare}::{name}"))
}

/// A value for a column that needs one and has no source: the first label of an enum, which is
/// one at least; else NULL, which the target refuses row by row until somebody chooses.
fn chosen(column: &Column) -> Line<'_> {
    let label = match &column.ty {
        ColumnType::Enum { labels, .. } => labels.first(),
        _ => None,
    };
    let (expression, remark) = match label {
        Some(label) => (
            format!("'{}'", label.replace('\'', "''")),
            format!(
                "choose: {}, NOT NULL without default or source; this is its first label",
                column.ty
            ),
        ),
        None => (
            "null".to_owned(),
            format!(
                "choose: {}, NOT NULL without default or source; until then every row is a reject",
                column.ty
            ),
        ),
    };
    Line {
        column,
        expression: Some(expression),
        source: None,
        remarks: vec![remark],
        state: State::Choose,
    }
}

/// What the transform says of an expression.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Fits,
    /// It compiles with a warning.
    Doubtful(String),
    Not(String),
}

fn verdict(source: &Table, target: &Table, column: &Column, expression: &str) -> Verdict {
    let stream = draft::plain_stream(&column.name, expression);
    let why = |finding: &crate::data::finding::Finding| match finding.code {
        "plan::type_mismatch" => "no exact conversion".to_owned(),
        "plan::declared_otherwise" => "values that are not stored as such are rejects".to_owned(),
        _ => finding.message.clone(),
    };
    match transform::compile(&stream, source, &[], target) {
        Ok(compiled) => compiled
            .warnings()
            .first()
            .map_or(Verdict::Fits, |finding| Verdict::Doubtful(why(finding))),
        Err(findings) => Verdict::Not(findings.first().map(why).unwrap_or_default()),
    }
}

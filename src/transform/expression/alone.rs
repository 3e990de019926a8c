//! Columns that the engine cannot compute with: numbers without limits, which travel as text, and
//! types that nobody interprets.

use std::ops::ControlFlow;

use arrow::datatypes::Schema;
use datafusion_sql::sqlparser::ast::{Expr, Ident, Spanned, Visit, Visitor};
use datafusion_sql::sqlparser::tokenizer::Span;

use super::rewrite::cast_number;
use super::syntax::Text;
use crate::data::column::ColumnType;
use crate::data::finding::Finding;

/// Such columns stand in a cast or before `is null` (or are the whole expression, which is not
/// asked here).
///
/// # Errors
/// The finding, with the caret on the first column that does not.
pub(super) fn check(text: &Text<'_>, tree: &Expr, schema: &Schema) -> Result<(), Finding> {
    let mut uses = Uses {
        text,
        schema,
        allowed: Vec::new(),
    };
    match tree.visit(&mut uses) {
        ControlFlow::Break(finding) => Err(finding),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Uses<'a> {
    text: &'a Text<'a>,
    schema: &'a Schema,
    /// Places of columns that are cast, or only looked at.
    allowed: Vec<Span>,
}

impl Visitor for Uses<'_> {
    type Break = Finding;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Finding> {
        match expr {
            // Brackets have the place of what they enclose.
            Expr::IsNull(inner) | Expr::IsNotNull(inner) => self.allowed.push(inner.span()),
            Expr::Function(function) if cast_number(function).is_some() => self.allowed.push(function.args.span()),
            Expr::Identifier(name) if !self.allowed.contains(&name.span) => return self.column(name),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Uses<'_> {
    fn column(&self, name: &Ident) -> ControlFlow<Finding> {
        let field = self.schema.field_with_name(&name.value);
        let Some(ty @ (ColumnType::Numeric { .. } | ColumnType::Opaque { .. })) = field.ok().and_then(ColumnType::of_field) else {
            return ControlFlow::Continue(());
        };
        let finding = self.text.finding(
            "mapping::bare_column_only",
            &self.text.bytes(name.span),
            format!("`{}` is {ty} and can only be taken as it is", name.value),
        );
        let finding = finding.label("not within an expression");
        ControlFlow::Break(match ty {
            ColumnType::Numeric { .. } => finding.help(format!(
                "give it limits: {0}::numeric(20,4), or [stream.types] {0} = \"numeric(20,4)\" or \"double precision\"",
                name.value
            )),
            _ => finding.help(format!(
                "compute with it in a `query` of the source, such as {}::text",
                name.value
            )),
        })
    }
}

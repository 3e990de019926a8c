//! Which part of an expression does not fit: the smallest one that cannot be planned by itself.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion_common::DFSchemaRef;
use datafusion_expr::ScalarUDF;
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned, UnaryOperator, Visit, Visitor,
};

use super::plan::{self, Planned};
use super::rewrite;
use super::syntax::Text;
use crate::data::column::ColumnType;
use crate::data::finding::Finding;
use crate::transform::cast::meaning_of;
use crate::transform::functions;

/// Finds the part at fault in a tree that cannot be planned, or that holds a part without
/// columns that fails for every row.
pub(super) fn blame(text: &Text<'_>, tree: &Expr, casts: &[Arc<ScalarUDF>], schema: &DFSchemaRef) -> Finding {
    let mut search = Search { text, casts, schema };
    match tree.visit(&mut search) {
        ControlFlow::Break(finding) => finding,
        ControlFlow::Continue(()) => text.finding(
            "mapping::wrong_operands",
            &text.range(tree.span()),
            "the parts of this expression do not fit together",
        ),
    }
}

struct Search<'a> {
    text: &'a Text<'a>,
    casts: &'a [Arc<ScalarUDF>],
    schema: &'a DFSchemaRef,
}

impl Visitor for Search<'_> {
    type Break = Finding;

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Finding> {
        match plan::plan(expr, self.casts, self.schema) {
            Err(error) => ControlFlow::Break(self.finding(expr, &error.find_root().to_string())),
            Ok(planned) if plan::has_failed_constant(&planned.expr) => ControlFlow::Break(self.fails_always(expr, &planned)),
            Ok(_) => ControlFlow::Continue(()),
        }
    }
}

impl Search<'_> {
    fn fails_always(&self, expr: &Expr, planned: &Planned) -> Finding {
        let message = if planned.expr.column_refs().is_empty() {
            "this has no value, whatever the row"
        } else {
            "a constant in this is no value of the type that it is needed as"
        };
        self.text
            .finding("mapping::fails_always", &self.text.range(expr.span()), message)
            .label("fails for every row")
            .help("a constant that overflows, divides by zero, or is no literal of the type it is cast to")
    }

    fn finding(&self, expr: &Expr, engine: &str) -> Finding {
        let at = self.text.range(expr.span());
        let error = |message: String| {
            self.text
                .finding("mapping::wrong_operands", &at, message)
                .label("does not fit")
        };
        match expr {
            Expr::Function(function) => {
                let types = self.listed(arguments(&function.args));
                if let Some(number) = rewrite::cast_number(function) {
                    let to = self.cast_goal(number);
                    return self
                        .text
                        .finding("mapping::impossible_cast", &at, format!("{types} cannot be cast to {to}"))
                        .label(format!("this is {types}"));
                }
                let name = rewrite::name_of(function).unwrap_or_else(|| function.name.to_string());
                if let Some(why) = functions::said_of_constant(engine) {
                    return error(format!("`{name}` does not take this: {why}")).help("see docs/mapping.md, section \"Functions\"");
                }
                error(format!("`{name}` does not take ({types})"))
                    .help("cast what you give it, as in lower(id::text); see docs/mapping.md, section \"Functions\"")
            }
            Expr::BinaryOp {
                op: BinaryOperator::Arrow | BinaryOperator::LongArrow,
                ..
            } => error("members of documents are taken by functions".to_owned())
                .help("json_get(settings, 'mode') gives the member as json, json_get_text its text"),
            Expr::BinaryOp { left, op, right } => {
                let (left, right) = (self.type_of(left), self.type_of(right));
                let word = op.to_string().to_lowercase();
                let finding = error(format!("`{word}` does not work between {left} and {right}"));
                if [&left, &right].iter().any(|ty| *ty == "boolean") {
                    finding.help("a boolean is a condition by itself: verified, not verified")
                } else {
                    finding.help("cast one of them, as in id::text")
                }
            }
            Expr::UnaryOp { op, expr } => {
                let word = match op {
                    UnaryOperator::Not => "not".to_owned(),
                    other => other.to_string(),
                };
                error(format!("`{word}` does not work on {}", self.type_of(expr)))
            }
            Expr::InList { expr, list, .. } => error(format!(
                "{} cannot be looked up among {}",
                self.type_of(expr),
                self.listed(list.iter())
            )),
            Expr::Between { expr, low, high, .. } => error(format!(
                "{} cannot be compared with {} and {}",
                self.type_of(expr),
                self.type_of(low),
                self.type_of(high)
            )),
            Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } | Expr::SimilarTo { expr, pattern, .. } => error(
                format!("{} cannot be matched with {}", self.type_of(expr), self.type_of(pattern)),
            ),
            Expr::Case { .. } => error("the branches of this `case` have no type in common".to_owned()),
            _ => error(format!("this does not work: {}", plain_words(engine))),
        }
    }

    fn cast_goal(&self, number: usize) -> String {
        let field = self.casts.get(number).and_then(|cast| {
            let from: FieldRef = Arc::new(Field::new("", arrow::datatypes::DataType::Null, true));
            let arguments = datafusion_expr::ReturnFieldArgs {
                arg_fields: &[from],
                scalar_arguments: &[None],
            };
            cast.return_field_from_args(arguments).ok()
        });
        field.map_or_else(|| "this type".to_owned(), |field| type_name(&field))
    }

    fn listed<'e>(&self, parts: impl Iterator<Item = &'e Expr>) -> String {
        parts.map(|part| self.type_of(part)).collect::<Vec<_>>().join(", ")
    }

    fn type_of(&self, expr: &Expr) -> String {
        plan::plan(expr, self.casts, self.schema).map_or_else(|_| "this".to_owned(), |planned| type_name(&planned.field))
    }
}

/// The type of an expression as a mapping would write it.
pub(super) fn type_name(field: &Field) -> String {
    if field.data_type().is_null() {
        return "null".to_owned();
    }
    meaning_of(field).map_or_else(|| field.data_type().to_string(), |ty: ColumnType| ty.to_string())
}

fn arguments(arguments: &FunctionArguments) -> impl Iterator<Item = &Expr> {
    let list = match arguments {
        FunctionArguments::List(list) => list.args.as_slice(),
        _ => &[],
    };
    list.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    })
}

/// The first line of the engine's message without its prefixes.
fn plain_words(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let words = line.rsplit_once(" error: ").map_or(line, |(_, words)| words);
    words
        .trim_start_matches("Error during planning: ")
        .trim_start_matches("This feature is not implemented: ")
        .to_owned()
}

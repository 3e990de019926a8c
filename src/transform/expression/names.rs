//! What may stand in an expression: columns of the source, pure functions, operators, `case`,
//! exact casts. Everything else is refused here, with the caret on it.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion_expr::ScalarUDF;
use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Spanned, Value, VisitMut, VisitorMut,
};
use datafusion_sql::sqlparser::tokenizer::Span;

use super::registry::{self, Known};
use super::rewrite;
use super::syntax::Text;
use crate::data::finding::{Finding, nearest};
use crate::data::table::Table;

/// Deepest nesting of one expression (Invariant 7).
const DEPTH_MAX: usize = 64;

/// A tree whose names all mean something, its casts replaced by calls of `casts`.
pub(super) struct Names {
    pub(super) casts: Vec<Arc<ScalarUDF>>,
    /// Source columns used, each once.
    pub(super) columns: Vec<String>,
}

/// Checks a tree against the columns of `source` and prepares it for planning.
///
/// # Errors
/// Every finding.
pub(super) fn check(text: &Text<'_>, tree: &mut Expr, source: &Table) -> Result<Names, Vec<Finding>> {
    let mut checker = Checker {
        text,
        source,
        depth: 0,
        names: Names {
            casts: Vec::new(),
            columns: Vec::new(),
        },
        findings: Vec::new(),
    };
    // Breaking off means that a finding says why.
    let _stopped = tree.visit(&mut checker).is_break();
    if checker.findings.is_empty() {
        Ok(checker.names)
    } else {
        Err(checker.findings)
    }
}

struct Checker<'a> {
    text: &'a Text<'a>,
    source: &'a Table,
    depth: usize,
    names: Names,
    findings: Vec<Finding>,
}

impl VisitorMut for Checker<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            self.findings.push(self.text.too_large());
            return ControlFlow::Break(());
        }
        self.a_keyword_may_be_a_column(expr);
        match expr {
            Expr::Identifier(name) => self.column(name),
            Expr::Function(function) => return self.function(function),
            Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => self.parameter(value.span),
            Expr::Cast { array: true, .. } | Expr::Cast { format: Some(_), .. } => return self.refuse(expr),
            Expr::Value(_)
            | Expr::Cast { .. }
            | Expr::TypedString(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::Between { .. }
            | Expr::BinaryOp { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::UnaryOp { .. }
            | Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Overlay { .. }
            | Expr::Nested(_)
            | Expr::Case { .. }
            | Expr::Interval(_) => {}
            _ => return self.refuse(expr),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.depth -= 1;
        if let Some(function) = rewrite::spelt_with_words(expr) {
            *expr = function;
            return ControlFlow::Continue(());
        }
        let rewritten =
            rewrite::without_exponent(self.text, expr).and_then(|()| rewrite::cast(self.text, expr, &mut self.names.casts));
        if let Err(finding) = rewritten {
            self.findings.push(finding);
        }
        ControlFlow::Continue(())
    }
}

impl Checker<'_> {
    /// `user` and the like are functions without brackets to the parser.
    fn a_keyword_may_be_a_column(&self, expr: &mut Expr) {
        let Expr::Function(function) = expr else { return };
        if !matches!(function.args, FunctionArguments::None) {
            return;
        }
        if let [part] = function.name.0.as_slice()
            && let Some(ident) = part.as_ident()
            && self.source.column(&ident.value).is_some()
        {
            *expr = Expr::Identifier(ident.clone());
        }
    }

    fn column(&mut self, name: &Ident) {
        if self.source.column(&name.value).is_some() {
            if !self.names.columns.contains(&name.value) {
                self.names.columns.push(name.value.clone());
            }
            return;
        }
        let known = self.source.columns.iter().map(|column| column.name.as_str());
        let finding = self
            .text
            .finding(
                "mapping::unknown_column",
                &self.text.bytes(name.span),
                format!("the source {} has no column `{}`", self.source.name, name.value),
            )
            .label("not in the source");
        let finding = if name.quote_style == Some('"') {
            finding.help("a name stands in \"double\" quotes, a text in 'single' ones")
        } else {
            finding
        };
        self.findings.push(match finding.help {
            None => finding.help_nearest(&name.value, known),
            Some(_) => finding,
        });
    }

    fn parameter(&mut self, span: Span) {
        self.findings.push(
            self.text
                .finding(
                    "mapping::parameter",
                    &self.text.bytes(span),
                    "there are no parameters in a mapping",
                )
                .label("nobody gives it a value")
                .help("write the value itself; `$key` stands in subjects alone"),
        );
    }

    fn function(&mut self, function: &Function) -> ControlFlow<()> {
        let at = self.text.bytes(function.name.span());
        let written = function.name.to_string();
        let plain = function.over.is_none()
            && function.filter.is_none()
            && function.within_group.is_empty()
            && function.null_treatment.is_none()
            && matches!(function.parameters, FunctionArguments::None);
        let name = rewrite::name_of(function).unwrap_or_else(|| written.clone());
        let finding = match registry::find(&name) {
            Known::Pure(_) if plain && has_plain_arguments(function) => return ControlFlow::Continue(()),
            Known::Pure(_) => self
                .text
                .finding(
                    "mapping::not_supported",
                    &at,
                    format!("`{written}` takes plain arguments only"),
                )
                .label("with more than arguments"),
            Known::Volatile => self
                .text
                .finding(
                    "mapping::volatile_function",
                    &at,
                    format!("`{written}` gives another value each time"),
                )
                .label("not the same twice")
                .help("the same row must always give the same row, or neither resume nor verify mean anything"),
            Known::OverRows => self
                .text
                .finding("mapping::over_rows", &at, format!("`{written}` works over many rows"))
                .label("an expression sees one row")
                .help(match name.as_str() {
                    "max" => "of several columns of a row: greatest(a, b); over rows: a query, [stream.query]",
                    "min" => "of several columns of a row: least(a, b); over rows: a query, [stream.query]",
                    _ => "aggregates and joins belong into a query that the source runs: [stream.query]",
                }),
            Known::Unknown => {
                let finding = self
                    .text
                    .finding("mapping::unknown_function", &at, format!("there is no function `{written}`"))
                    .label("not a function");
                match nearest(&name, registry::names()) {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help("see docs/mapping.md, section \"Functions\""),
                }
            }
        };
        self.findings.push(finding);
        // The arguments of a known function may still be looked at.
        if plain && has_plain_arguments(function) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    fn refuse(&mut self, expr: &Expr) -> ControlFlow<()> {
        let at = self.text.range(expr.span());
        let (code, message, help) = match expr {
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::AnyOp { .. } | Expr::AllOp { .. } => (
                "mapping::subquery",
                "an expression sees one row, not other tables".to_owned(),
                "joins and aggregates belong into a query that the source runs: [stream.query]",
            ),
            Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } | Expr::JsonAccess { .. } => (
                "mapping::unknown_column",
                "columns have no parts, and stand without the name of their table".to_owned(),
                "a column with a dot in its name is \"quoted\"; for a member of a document see docs/mapping.md, section \"Functions\"",
            ),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => (
                "mapping::not_supported",
                "an expression gives one value, not all columns".to_owned(),
                "to take columns over by their names: same_name_columns = true",
            ),
            Expr::AtTimeZone { .. } => (
                "mapping::not_supported",
                "`at time zone` is not supported".to_owned(),
                "instants become wall clocks in UTC; write x::timestamp or x::timestamptz",
            ),
            Expr::SimilarTo { .. } => (
                "mapping::not_supported",
                "`similar to` is not supported".to_owned(),
                "write `like`, or a regular expression: regexp_like(x, '^a')",
            ),
            _ => (
                "mapping::not_supported",
                "this kind of SQL is not supported in a mapping".to_owned(),
                "see docs/mapping.md, section \"Expressions\"",
            ),
        };
        self.findings
            .push(self.text.finding(code, &at, message).label("not here").help(help));
        ControlFlow::Break(())
    }
}

fn has_plain_arguments(function: &Function) -> bool {
    match &function.args {
        FunctionArguments::None => true,
        FunctionArguments::Subquery(_) => false,
        FunctionArguments::List(list) => {
            list.duplicate_treatment.is_none()
                && list.clauses.is_empty()
                && list
                    .args
                    .iter()
                    .all(|argument| matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(_))))
        }
    }
}

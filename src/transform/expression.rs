//! Expressions: SQL over the columns of one row, evaluated over whole columns by the expression
//! crates of Apache DataFusion, which only this module and its parts name (and the functions
//! that implement its traits).
//!
//! What is kept from the engine: parsing, operators, its functions, types. What is not: its
//! casts and its integer arithmetic, which lose digits or wrap round (Invariant 6), and
//! everything that depends on anything but the row (Invariant 5).

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion_common::{DFSchema, DataFusionError, ScalarValue};
use datafusion_expr::{ColumnarValue, Expr, ScalarUDF};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_sql::sqlparser::ast;

use crate::data::finding::{Finding, Located};
use crate::data::reject::Reason;
use crate::data::table::Table;
use crate::transform::functions;

mod alone;
mod arithmetic;
mod blame;
mod dialect;
mod exact;
mod finite;
mod names;
mod places;
mod plan;
mod registry;
mod rewrite;
mod spelling;
mod syntax;

pub use spelling::column_expression;
use syntax::Text;

/// An expression whose names all mean something; its types are not known yet.
pub(super) struct Parsed<'a> {
    text: Text<'a>,
    tree: ast::Expr,
    casts: Vec<Arc<ScalarUDF>>,
    columns: Vec<String>,
    spelling: String,
}

impl<'a> Parsed<'a> {
    /// Reads an expression over the columns of `source`.
    ///
    /// # Errors
    /// Every finding.
    pub(super) fn read(sql: &'a Located<String>, source: &Table) -> Result<Self, Vec<Finding>> {
        deep(|| Self::read_here(sql, source))
    }

    fn read_here(sql: &'a Located<String>, source: &Table) -> Result<Self, Vec<Finding>> {
        let (text, mut tree) = Text::parse(sql).map_err(|finding| vec![finding])?;
        let spelling = tree.to_string();
        let names = names::check(&text, &mut tree, source)?;
        Ok(Self {
            text,
            tree,
            casts: names.casts,
            columns: names.columns,
            spelling,
        })
    }

    /// The expression with its blanks and keywords spelt in one way, the same for the same
    /// expression.
    pub(super) fn spelling(&self) -> &str {
        &self.spelling
    }

    /// Source columns that it uses, each once.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The column that it is and nothing else.
    pub(super) fn bare(&self) -> Option<&str> {
        bare(&self.tree)
    }

    /// The column of `uuid_v5('a constant', column)` or `uuid_v5('a constant', column::text)`.
    pub(super) fn uuid_of(&self) -> Option<&str> {
        let ast::Expr::Function(function) = without_brackets(&self.tree) else {
            return None;
        };
        let ast::FunctionArguments::List(list) = &function.args else {
            return None;
        };
        match list.args.as_slice() {
            [
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(namespace)),
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(name)),
            ] if rewrite::name_of(function)? == "uuid_v5" && matches!(namespace, ast::Expr::Value(_)) => {
                bare(name).or_else(|| bare(rewrite::cast_to_text(name, &self.casts)?))
            }
            _ => None,
        }
    }

    /// An error about the expression as a whole.
    pub(super) fn finding(&self, code: &'static str, message: impl Into<String>) -> Finding {
        let whole = self.text.range(datafusion_sql::sqlparser::tokenizer::Span::empty());
        self.text.finding(code, &whole, message)
    }

    /// Resolves the types over rows of `schema`, in which all its columns are.
    ///
    /// # Errors
    /// The finding, with the caret on the smallest part that does not fit.
    pub(super) fn compile(&self, schema: &Schema) -> Result<Expression, Finding> {
        deep(|| self.compile_here(schema))
    }

    fn compile_here(&self, schema: &Schema) -> Result<Expression, Finding> {
        if self.bare().is_none() {
            alone::check(&self.text, &self.tree, schema)?;
        }
        let places: Vec<usize> = self.columns.iter().filter_map(|name| schema.index_of(name).ok()).collect();
        let narrow: SchemaRef = Arc::new(schema.project(&places).map_err(|error| self.defect(&error.to_string()))?);
        let known = DFSchema::try_from(Arc::clone(&narrow)).map_err(|error| self.defect(&error.to_string()))?;
        let known = Arc::new(known);
        let blame = || blame::blame(&self.text, &self.tree, &self.casts, &known);
        let planned = plan::plan(&self.tree, &self.casts, &known).map_err(|_| blame())?;
        if plan::has_failed_constant(&planned.expr) {
            return Err(blame());
        }
        let bound = plan::bind(&planned.expr, &known).map_err(|_| blame())?;
        let formula = match (&planned.expr, places.as_slice()) {
            (Expr::Column(_), [place]) => Formula::Column(*place),
            (Expr::Literal(value, _), _) => Formula::Constant(value.clone()),
            _ => Formula::Computed {
                bound,
                places,
                schema: narrow,
            },
        };
        Ok(Expression {
            formula,
            field: planned.field.as_ref().clone(),
        })
    }

    fn defect(&self, why: &str) -> Finding {
        self.finding("mapping::wrong_operands", format!("this cannot be compiled: {why}"))
    }
}

/// Parser and planner recurse as deep as an expression is nested, with frames of many kilobytes:
/// they get a stack that holds the deepest that is allowed, wherever they are called from.
fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    const STACK_BYTES: usize = 64 << 20;
    let mut work = Some(work);
    let done = std::thread::scope(|scope| {
        let waiting = &mut work;
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, move || waiting.take().map(|work| work())).ok()?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    // Without a thread the stack at hand has to do; it does for what people write.
    match (done, work) {
        (Some(done), _) => done,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("work that was taken has been done"),
    }
}

fn without_brackets(mut tree: &ast::Expr) -> &ast::Expr {
    while let ast::Expr::Nested(inner) = tree {
        tree = inner;
    }
    tree
}

fn bare(tree: &ast::Expr) -> Option<&str> {
    match without_brackets(tree) {
        ast::Expr::Identifier(name) => Some(&name.value),
        _ => None,
    }
}

/// An expression that can be evaluated.
#[derive(Debug)]
pub(super) struct Expression {
    formula: Formula,
    field: Field,
}

#[derive(Debug)]
enum Formula {
    /// A column as it is.
    Column(usize),
    /// The same value for all rows.
    Constant(ScalarValue),
    /// Anything else, over the columns at `places`.
    Computed {
        bound: Arc<dyn PhysicalExpr>,
        places: Vec<usize>,
        schema: SchemaRef,
    },
}

/// Why some row of those given has no value. Names no cell (Invariant 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Expression {
    /// A column of `schema` as it is.
    pub(super) fn column(name: &str, schema: &Schema) -> Option<Self> {
        let place = schema.index_of(name).ok()?;
        Some(Self {
            formula: Formula::Column(place),
            field: schema.field(place).clone(),
        })
    }

    /// Type and meaning of its values.
    pub(super) const fn field(&self) -> &Field {
        &self.field
    }

    /// The type as a mapping writes it.
    pub(super) fn type_name(&self) -> String {
        blame::type_name(&self.field)
    }

    /// Whether it is a condition.
    pub(super) fn is_boolean(&self) -> bool {
        *self.field.data_type() == DataType::Boolean
    }

    /// Its values for all rows.
    ///
    /// # Errors
    /// When it fails for at least one of the rows.
    pub(super) fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, Failure> {
        match &self.formula {
            Formula::Column(place) => Ok(Arc::clone(rows.column(*place))),
            Formula::Constant(value) => value.to_array_of_size(rows.num_rows()).map_err(|error| failure(&error)),
            Formula::Computed { bound, .. } => {
                let narrow = self.inputs(rows).map_err(|error| failure(&error.into()))?;
                bound
                    .evaluate(&narrow)
                    .and_then(|value| match value {
                        ColumnarValue::Array(array) => Ok(array),
                        ColumnarValue::Scalar(value) => value.to_array_of_size(narrow.num_rows()),
                    })
                    .map_err(|error| failure(&error))
            }
        }
    }

    /// The columns that it is computed from, so that slicing rows touches no others.
    fn inputs(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let Formula::Computed { places, schema, .. } = &self.formula else {
            return Ok(rows.clone());
        };
        let columns = places.iter().map(|place| Arc::clone(rows.column(*place))).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
    }
}

/// The engine's messages may quote values: only their class is passed on (Invariant 9).
fn failure(error: &DataFusionError) -> Failure {
    let root = error.find_root();
    if let DataFusionError::External(cause) = root
        && let Some(refused) = cause.downcast_ref::<exact::Refused>()
    {
        return Failure {
            reason: refused.reason,
            detail: refused.detail.clone(),
        };
    }
    if let Some(said) = functions::said(error) {
        return Failure {
            reason: Reason::Expression,
            detail: said.to_owned(),
        };
    }
    let detail = match root {
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero => "division by zero",
            ArrowError::ArithmeticOverflow(_) => "a number beyond the range of its type",
            ArrowError::CastError(_) | ArrowError::ParseError(_) => "a value that cannot be read as the type it has to have",
            _ => "the expression has no value for this row",
        },
        _ => "the expression has no value for this row",
    };
    Failure {
        reason: Reason::Expression,
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests;

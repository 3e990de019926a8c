//! From a checked tree to something that can be evaluated: the engine resolves functions and
//! types, and then every cast and every sum is replaced by its exact form.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DFSchemaRef, Result, TableReference, plan_err};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::{Cast, ScalarFunction};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{AggregateUDF, Expr, ExprSchemable, HigherOrderUDF, Operator, ScalarUDF, TableSource, WindowUDF};
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion_functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast;

use super::registry::{self, Known};
use super::{arithmetic, exact, finite};

/// What the engine may look up while it plans one expression.
struct Lookup<'a> {
    casts: &'a [Arc<ScalarUDF>],
}

static OPTIONS: LazyLock<Arc<ConfigOptions>> = LazyLock::new(|| Arc::new(ConfigOptions::default()));

static PLANNERS: LazyLock<Vec<Arc<dyn ExprPlanner>>> = LazyLock::new(|| {
    vec![
        Arc::new(CoreFunctionPlanner::default()),
        Arc::new(DatetimeFunctionPlanner),
        Arc::new(UnicodeFunctionPlanner),
    ]
});

impl ContextProvider for Lookup<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        plan_err!("there is no table {name}")
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if let Some(cast) = self.casts.iter().find(|cast| cast.name() == name) {
            return Some(Arc::clone(cast));
        }
        match registry::find(name) {
            Known::Pure(function) => Some(function),
            _ => None,
        }
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &PLANNERS
    }

    fn options(&self) -> &ConfigOptions {
        &OPTIONS
    }

    fn udf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A typed expression, not yet bound to columns by their places.
pub(super) struct Planned {
    pub(super) expr: Expr,
    pub(super) field: FieldRef,
}

/// Resolves functions and types.
///
/// # Errors
/// Where the types do not fit, in the engine's words.
pub(super) fn plan(tree: &ast::Expr, casts: &[Arc<ScalarUDF>], schema: &DFSchemaRef) -> Result<Planned> {
    let lookup = Lookup { casts };
    let options = ParserOptions::new()
        .with_parse_float_as_decimal(true)
        .with_enable_ident_normalization(false)
        .with_map_string_types_to_utf8view(false);
    let planner = SqlToRel::new_with_options(&lookup, options);
    let expr = planner.sql_to_expr(tree.clone(), schema, &mut PlannerContext::new())?;
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(schema))
        .with_config_options(Arc::clone(&OPTIONS))
        .build();
    let simplifier = ExprSimplifier::new(context);
    let expr = compare_as_read(simplifier.coerce(expr, schema)?)?;
    let expr = make_exact(expr, schema)?;
    // Simplifying resolves `coalesce` and the like, folds constants, and may add casts.
    let expr = make_exact(simplifier.simplify(expr)?, schema)?;
    let (_, field) = expr.to_field(schema.as_ref())?;
    Ok(Planned { expr, field })
}

/// Timestamps are compared with texts as the microseconds that they are: nanoseconds, which the
/// engine prefers, end in the year 2262 and have no infinity.
fn compare_as_read(expr: Expr) -> Result<Expr> {
    let finer = |expr: &Expr| matches!(expr, Expr::Cast(cast) if is_nanoseconds(cast.field.data_type()));
    expr.transform_up(|expr| match expr {
        Expr::BinaryExpr(mut binary) if compares(binary.op) && finer(&binary.left) && finer(&binary.right) => {
            *binary.left = in_microseconds(*binary.left);
            *binary.right = in_microseconds(*binary.right);
            Ok(Transformed::yes(Expr::BinaryExpr(binary)))
        }
        Expr::Between(mut between)
            if [&between.expr, &between.low, &between.high]
                .into_iter()
                .all(|part| finer(part)) =>
        {
            for part in [&mut between.expr, &mut between.low, &mut between.high] {
                **part = in_microseconds(std::mem::take(&mut **part));
            }
            Ok(Transformed::yes(Expr::Between(between)))
        }
        Expr::InList(mut list) if finer(&list.expr) && list.list.iter().all(finer) => {
            *list.expr = in_microseconds(*list.expr);
            list.list = list.list.into_iter().map(in_microseconds).collect();
            Ok(Transformed::yes(Expr::InList(list)))
        }
        expr => Ok(Transformed::no(expr)),
    })
    .map(|done| done.data)
}

const fn compares(operator: Operator) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq | O::IsDistinctFrom | O::IsNotDistinctFrom
    )
}

const fn is_nanoseconds(ty: &DataType) -> bool {
    matches!(ty, DataType::Timestamp(TimeUnit::Nanosecond, _))
}

fn in_microseconds(expr: Expr) -> Expr {
    match expr {
        Expr::Cast(cast) => match cast.field.data_type() {
            DataType::Timestamp(_, zone) => {
                let ty = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                Expr::Cast(Cast::new(cast.expr, ty))
            }
            _ => Expr::Cast(cast),
        },
        expr => expr,
    }
}

/// Replaces the engine's casts and integer arithmetic by exact ones, and guards its arithmetic of
/// times.
fn make_exact(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| {
        let expr = finite::guarded(expr, schema)?;
        let replaced = match &expr {
            Expr::Cast(cast) => {
                let to = cast.field.data_type();
                if cast.expr.get_type(schema)? == *to {
                    return Ok(Transformed::yes((*cast.expr).clone()));
                }
                let Some(function) = exact::ExactCast::demanded(to) else {
                    return plan_err!("values of type {to} are not supported");
                };
                Some((function, vec![(*cast.expr).clone()]))
            }
            Expr::BinaryExpr(binary) => {
                let (left, right) = (binary.left.get_type(schema)?, binary.right.get_type(schema)?);
                arithmetic::binary(binary.op, &left, &right)
                    .map(|function| (function, vec![(*binary.left).clone(), (*binary.right).clone()]))
            }
            Expr::Negative(value) => {
                arithmetic::negate(&value.get_type(schema)?).map(|function| (function, vec![(**value).clone()]))
            }
            _ => None,
        };
        Ok(match replaced {
            Some((function, arguments)) => {
                let call = ScalarFunction::new_udf(Arc::new(function), arguments);
                Transformed::yes(Expr::ScalarFunction(call))
            }
            // A guard may be new in it.
            None => Transformed::yes(expr),
        })
    })
    .map(|done| done.data)
}

/// Binds an expression to the places of its columns.
pub(super) fn bind(expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let mut properties = ExecutionProps::new();
    properties.config_options = Some(Arc::clone(&OPTIONS));
    create_physical_expr(expr, schema, &properties, &PhysicalPlanningContext::default())
}

/// Whether a part of the expression has no column in it and yet could not be computed: it fails
/// for every row.
pub(super) fn has_failed_constant(expr: &Expr) -> bool {
    let mut found = false;
    let walked = expr.apply(|part| {
        found = !matches!(part, Expr::Literal(..)) && part.column_refs().is_empty();
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    walked.is_ok() && found
}

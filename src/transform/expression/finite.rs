//! Times that the engine can compute with. Infinity is a number to it, and years beyond its
//! calendar have no parts: it would answer with NULL, with some other time, or not at all.
//! Comparing and choosing are no computing, and know infinity as the end that it is.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use datafusion_common::{DataFusionError, Result, plan_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::exact::{ExactCast, Refused};
use crate::data::reject::Reason;
use crate::transform::cast::civil::DAY;
use crate::transform::functions;

/// Days from 1970 on either side that the engine's calendar has: 260,000 years.
const DAYS_MAX: i64 = 95_000_000;
/// Functions that only choose among their arguments.
const CHOOSING: [&str; 7] = ["coalesce", "nullif", "nvl", "ifnull", "nvl2", "greatest", "least"];
const NAME: &str = "finite";

/// Passes dates and timestamps on, and fails for those that cannot be computed with.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Finite {
    signature: Signature,
}

/// Puts what an expression computes with under guard, one level deep.
pub(super) fn guarded(expr: Expr, schema: &datafusion_common::DFSchema) -> Result<Expr> {
    match expr {
        Expr::BinaryExpr(mut binary) if matches!(binary.op, Operator::Plus | Operator::Minus) => {
            binary.left = Box::new(guard(*binary.left, schema)?);
            binary.right = Box::new(guard(*binary.right, schema)?);
            Ok(Expr::BinaryExpr(binary))
        }
        Expr::ScalarFunction(mut call) if computes(&call) => {
            call.args = call
                .args
                .into_iter()
                .map(|argument| guard(argument, schema))
                .collect::<Result<_>>()?;
            Ok(Expr::ScalarFunction(call))
        }
        expr => Ok(expr),
    }
}

/// Our own functions and casts know infinity.
fn computes(call: &ScalarFunction) -> bool {
    let name = call.func.name();
    let ours = functions::all().iter().any(|function| function.name() == name);
    let cast = call.func.inner().downcast_ref::<ExactCast>().is_some();
    !ours && !cast && name != NAME && !CHOOSING.contains(&name)
}

fn guard(value: Expr, schema: &datafusion_common::DFSchema) -> Result<Expr> {
    let guarded = matches!(&value, Expr::ScalarFunction(call) if call.func.name() == NAME);
    if guarded || matches!(value, Expr::Literal(..)) || !is_guarded(&value.get_type(schema)?) {
        return Ok(value);
    }
    let function = ScalarUDF::new_from_impl(Finite {
        signature: Signature::any(1, Volatility::Immutable),
    });
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![value])))
}

const fn is_guarded(ty: &DataType) -> bool {
    matches!(ty, DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _))
}

fn check(values: &ArrayRef) -> Result<()> {
    let all = match values.data_type() {
        DataType::Date32 => values
            .as_primitive::<Date32Type>()
            .iter()
            .flatten()
            .all(|days| i64::from(days).abs() <= DAYS_MAX),
        DataType::Timestamp(TimeUnit::Microsecond, _) => values
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .flatten()
            .all(|micros| micros.div_euclid(DAY).abs() <= DAYS_MAX),
        _ => true,
    };
    if all {
        return Ok(());
    }
    Err(DataFusionError::External(Box::new(Refused {
        reason: Reason::OutOfRange,
        detail: "infinity, or a year too far away, which cannot be computed with".to_owned(),
    })))
}

impl ScalarUDFImpl for Finite {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        if let [ty] = arguments {
            Ok(ty.clone())
        } else {
            plan_err!("a guard has one argument")
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = arguments.args.into_iter().next() else {
            return plan_err!("a guard has one argument");
        };
        match &value {
            ColumnarValue::Array(array) => check(array)?,
            ColumnarValue::Scalar(scalar) => check(&scalar.to_array()?)?,
        }
        Ok(value)
    }
}

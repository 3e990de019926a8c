//! Arithmetic on integers and decimals that fails where it would overflow, instead of wrapping
//! round (Invariant 6). Also while constants are folded, which is why it is not left to the
//! engine's own operators.

use std::sync::Arc;

use arrow::array::{Array, Datum, new_empty_array};
use arrow::compute::kernels::numeric;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::{ColumnarValue, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// One operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Negate,
}

/// An operator as a function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

/// The exact form of `left operator right`; `None` where the engine's own is exact.
pub(super) fn binary(operator: Operator, left: &DataType, right: &DataType) -> Option<ScalarUDF> {
    let operation = match operator {
        Operator::Plus => Operation::Add,
        Operator::Minus => Operation::Subtract,
        Operator::Multiply => Operation::Multiply,
        Operator::Divide => Operation::Divide,
        Operator::Modulo => Operation::Remainder,
        _ => return None,
    };
    (is_exact(left) && is_exact(right)).then(|| function(operation, 2))
}

/// The exact form of `-value`; `None` where the engine's own is exact.
pub(super) fn negate(value: &DataType) -> Option<ScalarUDF> {
    is_exact(value).then(|| function(Operation::Negate, 1))
}

fn is_exact(ty: &DataType) -> bool {
    ty.is_integer() || ty.is_decimal()
}

fn function(operation: Operation, arguments: usize) -> ScalarUDF {
    ScalarUDF::new_from_impl(Arithmetic {
        operation,
        signature: Signature::any(arguments, Volatility::Immutable),
    })
}

impl Operation {
    fn run(self, left: &dyn Datum, right: Option<&dyn Datum>) -> Result<Arc<dyn Array>, ArrowError> {
        let operator = match self {
            Self::Add => numeric::add,
            Self::Subtract => numeric::sub,
            Self::Multiply => numeric::mul,
            Self::Divide => numeric::div,
            Self::Remainder => numeric::rem,
            Self::Negate => return numeric::neg(left.get().0),
        };
        match right {
            Some(right) => operator(left, right),
            None => Err(ArrowError::ComputeError("an operand is missing".to_owned())),
        }
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "+",
            Operation::Subtract | Operation::Negate => "-",
            Operation::Multiply => "*",
            Operation::Divide => "/",
            Operation::Remainder => "%",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let empty: Vec<_> = arguments.iter().map(new_empty_array).collect();
        let done = match empty.as_slice() {
            [left] => self.operation.run(left, None)?,
            [left, right] => self.operation.run(left, Some(right))?,
            _ => return plan_err!("an operator has one or two operands"),
        };
        Ok(done.data_type().clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let operands = arguments
            .args
            .iter()
            .map(|value| match value {
                ColumnarValue::Array(array) => Ok(Box::new(Arc::clone(array)) as Box<dyn Datum>),
                ColumnarValue::Scalar(value) => Ok(Box::new(value.to_scalar()?) as Box<dyn Datum>),
            })
            .collect::<Result<Vec<_>>>()?;
        let done = match operands.as_slice() {
            [left] => self.operation.run(left.as_ref(), None)?,
            [left, right] => self.operation.run(left.as_ref(), Some(right.as_ref()))?,
            _ => return plan_err!("an operator has one or two operands"),
        };
        if constant {
            return ScalarValue::try_from_array(&done, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(done))
    }
}

//! Casts within expressions: those written out, and those that types demand. All of them go
//! through [`Cast`], which keeps the value or refuses the row (Invariant 6).

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion_common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::data::column::ColumnType;
use crate::data::reject::Reason;
use crate::transform::cast::{Cast, Rules};

/// Why a row was refused, on its way through the engine's own error type.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Refused {}

/// What is cast to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Goal {
    /// A type of ours.
    Column(ColumnType),
    /// A type that only the engine knows, by way of the nearest one of ours.
    Engine(ColumnType, DataType),
}

/// A cast as a function of one argument.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ExactCast {
    name: String,
    goal: Goal,
    explicit: bool,
    /// `try_cast`: NULL where the value has no exact form.
    lenient: bool,
    signature: Signature,
}

impl ExactCast {
    /// A cast written out in an expression.
    pub(super) fn written(name: String, to: ColumnType, lenient: bool) -> ScalarUDF {
        Self::function(name, Goal::Column(to), true, lenient)
    }

    /// A cast that the types of an expression demand; `None` to types that would lose something.
    pub(super) fn demanded(to: &DataType) -> Option<ScalarUDF> {
        let coarse = matches!(to, DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _));
        let near = ColumnType::of_field(&Field::new("", to.clone(), true)).filter(|_| !coarse)?;
        let goal = if near.arrow() == *to {
            Goal::Column(near)
        } else {
            Goal::Engine(near, to.clone())
        };
        Some(Self::function(format!("cast to {to}"), goal, false, false))
    }

    fn function(name: String, goal: Goal, explicit: bool, lenient: bool) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self {
            name,
            goal,
            explicit,
            lenient,
            signature: Signature::any(1, Volatility::Immutable),
        })
    }

    /// Whether it spells every value as text without limit.
    pub(super) fn is_to_text(&self) -> bool {
        self.goal == Goal::Column(ColumnType::TEXT) && !self.lenient
    }

    const fn via(&self) -> &ColumnType {
        match &self.goal {
            Goal::Column(ty) | Goal::Engine(ty, _) => ty,
        }
    }

    fn plan(&self, from: &Field) -> Result<Cast> {
        let rules = Rules {
            lossy: false,
            nul: true,
            explicit: self.explicit,
        };
        Cast::plan(from, self.via(), rules).or_else(|why| plan_err!("{why}"))
    }

    fn run(&self, from: &Field, input: &ArrayRef) -> Result<ArrayRef> {
        let casted = self
            .plan(from)?
            .run(input)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        if let Some(fault) = casted.faults.into_iter().next().filter(|_| !self.lenient) {
            return Err(DataFusionError::External(Box::new(Refused {
                reason: fault.reason,
                detail: fault.detail,
            })));
        }
        match &self.goal {
            Goal::Column(_) => Ok(casted.array),
            Goal::Engine(_, to) => {
                let options = CastOptions {
                    safe: false,
                    ..CastOptions::default()
                };
                Ok(cast_with_options(&casted.array, to, &options)?)
            }
        }
    }
}

impl ScalarUDFImpl for ExactCast {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(match &self.goal {
            Goal::Column(ty) => ty.arrow(),
            Goal::Engine(_, ty) => ty.clone(),
        })
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if let [from] = arguments.arg_fields {
            self.plan(from)?;
        }
        Ok(Arc::new(match &self.goal {
            Goal::Column(ty) => ty.field(&self.name, true),
            Goal::Engine(_, ty) => Field::new(&self.name, ty.clone(), true),
        }))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([value], [from]) = (arguments.args.as_slice(), arguments.arg_fields.as_slice()) else {
            return plan_err!("a cast has one argument");
        };
        match value {
            ColumnarValue::Array(array) => self.run(from, array).map(ColumnarValue::Array),
            ColumnarValue::Scalar(value) => {
                let array = self.run(from, &value.to_array()?)?;
                debug_assert_eq!(array.len(), 1, "a cast keeps the number of rows");
                ScalarValue::try_from_array(&array, 0).map(ColumnarValue::Scalar)
            }
        }
    }
}

//! dbferry's own functions, for what SQL has no word for: stable UUIDs, empty text, documents,
//! buckets of time.
//!
//! All of them are immutable (Invariant 5) and work on whole columns. A row that a function
//! refuses is an error of the whole call, whose message is a constant sentence without the value
//! (Invariant 9); the caller bisects. [`reference()`] is the table that documentation and help
//! list. DataFusion's own functions stand beside these; no name of ours is one of theirs.
//!
//! This file alone knows DataFusion; the functions themselves are loops over Arrow arrays.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use arrow::array::Array;
use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::cast::{self, document, json as json_cast};

mod arguments;
mod bucket;
mod identity;
mod json;
mod pointer;
mod scalar;
mod table;

use arguments::Argument;
use table::{Constant, ENTRIES, Entry, Null};

pub use table::Reference;

/// Every function, for a planner's registry.
#[must_use]
pub fn all() -> &'static [Arc<ScalarUDF>] {
    static ALL: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        let functions = ENTRIES.iter().map(|entry| Function {
            entry,
            signature: Signature::user_defined(Volatility::Immutable),
        });
        functions
            .map(|function| Arc::new(ScalarUDF::new_from_impl(function)))
            .collect()
    });
    &ALL
}

/// What there is to know of every function, in the order of the documentation.
#[must_use]
pub fn reference() -> impl ExactSizeIterator<Item = &'static Reference> {
    ENTRIES.iter().map(|entry| &entry.reference)
}

/// Everything that a function can say of a row.
const SENTENCES: [&str; 12] = [
    json::NO_KEY,
    json::SAME_KEY,
    json::NO_FORM,
    json_cast::NOT_A_NUMBER,
    document::INVALID,
    document::DEEP,
    document::HALF_PAIR,
    pointer::BAD_PATH,
    pointer::NAMED_TWICE,
    scalar::INSTANT_RANGE,
    scalar::FINER,
    bucket::ENDLESS,
];

/// What one of our functions said of a row; `None` for an error that came from elsewhere, whose
/// text may quote a value.
#[must_use]
pub fn said(error: &DataFusionError) -> Option<&'static str> {
    match error.find_root() {
        DataFusionError::Execution(message) => SENTENCES.into_iter().find(|sentence| *sentence == message),
        _ => None,
    }
}

/// An entry of the table, as DataFusion wants it.
struct Function {
    entry: &'static Entry,
    signature: Signature,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry.reference.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.entry.reference.name == other.entry.reference.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entry.reference.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.entry.reference.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.entry.returns.arrow())
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let Entry {
            parameters, repeated, ..
        } = self.entry;
        let times = arguments.len() / parameters.len();
        if !arguments.len().is_multiple_of(parameters.len()) || times == 0 || (times > 1 && !repeated) {
            return plan_err!("wrong number of arguments: {}", self.entry.reference.signature);
        }
        let mut coerced = Vec::with_capacity(arguments.len());
        for (at, (ty, parameter)) in arguments.iter().zip(parameters.iter().cycle()).enumerate() {
            let Some(ty) = parameter.accept(ty) else {
                let (name, signature) = (parameter.name(), self.entry.reference.signature);
                return plan_err!("argument {} is no {name}: {signature}", at + 1);
            };
            coerced.push(ty);
        }
        Ok(coerced)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.entry.constant.check(arguments.scalar_arguments)?;
        let nullable = match self.entry.null {
            Null::Never => false,
            Null::Inherited => arguments.arg_fields.iter().any(|field| field.is_nullable()),
            Null::Always => true,
        };
        Ok(Arc::new(self.entry.returns.field(self.name(), nullable)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = call.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { call.number_rows };
        let arguments = call
            .args
            .iter()
            .zip(&call.arg_fields)
            .map(|(value, field)| argument(value, field))
            .collect::<Result<Vec<_>>>()?;
        let answer = (self.entry.run)(&arguments, rows).map_err(|why| DataFusionError::Execution(why.to_owned()))?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?));
        }
        Ok(ColumnarValue::Array(answer))
    }
}

impl Constant {
    fn check(self, constants: &[Option<&ScalarValue>]) -> Result<()> {
        let at = |at: usize| constants.get(at).copied().flatten();
        match self {
            Self::None => Ok(()),
            Self::Path(place) => {
                let path = at(place).and_then(|path| path.try_as_str().flatten());
                if let Some(Err(why)) = path.map(pointer::Pointer::parse) {
                    return plan_err!("{why}");
                }
                Ok(())
            }
            Self::Days(place) => {
                if let Some(ScalarValue::Int64(Some(1..))) = at(place) {
                    return Ok(());
                }
                plan_err!("{}", bucket::NO_DAYS)
            }
        }
    }
}

/// What one of our functions says of a constant in a plan, found in the engine's message.
#[must_use]
pub fn said_of_constant(message: &str) -> Option<&'static str> {
    [bucket::NO_DAYS, pointer::BAD_PATH]
        .into_iter()
        .find(|sentence| message.contains(sentence))
}

/// An argument in a representation that the casts know, with what it means.
fn argument(value: &ColumnarValue, field: &FieldRef) -> Result<Argument> {
    let (values, constant) = match value {
        ColumnarValue::Array(values) => (Arc::clone(values), false),
        ColumnarValue::Scalar(scalar) => (scalar.to_array()?, true),
    };
    let mistyped = || DataFusionError::Execution(arguments::MISTYPED.to_owned());
    let via = cast::promised(values.data_type()).ok_or_else(mistyped)?;
    let ty = cast::meaning(field, &via).ok_or_else(mistyped)?;
    let values = cast::represent(&values, &via).map_err(|_| mistyped())?;
    Ok(Argument { values, constant, ty })
}

/// The functions that stand beside ours in a mapping.
#[cfg(test)]
fn theirs() -> Vec<Arc<ScalarUDF>> {
    let mut all = datafusion_functions::core::functions();
    all.extend(datafusion_functions::string::functions());
    all.extend(datafusion_functions::unicode::functions());
    all.extend(datafusion_functions::math::functions());
    all.extend(datafusion_functions::datetime::functions());
    all.extend(datafusion_functions::encoding::functions());
    all.extend(datafusion_functions::regex::functions());
    all
}

#[cfg(test)]
mod tests;

//! Forms that are functions to us: casts, and what SQL spells with words.

use std::any::Any;
use std::sync::Arc;

use datafusion_expr::ScalarUDF;
use datafusion_sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    Spanned, Value, ValueWithSpan,
};
use datafusion_sql::sqlparser::tokenizer::Span;

use super::exact::ExactCast;
use super::syntax::Text;
use crate::data::column::ColumnType;
use crate::data::finding::Finding;

/// Most digits that a decimal keeps.
const DIGITS_MAX: usize = 38;

/// Names that casts have within the tree. No user can write them: the blank keeps them apart.
const CAST: &str = "cast ";

/// Number of the cast that a function call stands for.
pub(super) fn cast_number(function: &Function) -> Option<usize> {
    name_of(function)?.strip_prefix(CAST)?.parse().ok()
}

/// What is cast to text without limit, if that is what the part does.
pub(super) fn cast_to_text<'a>(expr: &'a Expr, casts: &[Arc<ScalarUDF>]) -> Option<&'a Expr> {
    let Expr::Function(function) = expr else { return None };
    let cast = casts.get(cast_number(function)?)?.inner();
    if !(cast.as_ref() as &dyn Any).downcast_ref::<ExactCast>()?.is_to_text() {
        return None;
    }
    match &function.args {
        FunctionArguments::List(list) => match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(operand))] => Some(operand),
            _ => None,
        },
        _ => None,
    }
}

/// The name of a function as the engine looks it up.
pub(super) fn name_of(function: &Function) -> Option<String> {
    let [part] = function.name.0.as_slice() else {
        return None;
    };
    let ident = part.as_ident()?;
    Some(if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_ascii_lowercase()
    })
}

/// Replaces a cast by a call of a function of its own, which is added to `casts`.
///
/// # Errors
/// The finding, where the type is none.
pub(super) fn cast(text: &Text<'_>, expr: &mut Expr, casts: &mut Vec<Arc<ScalarUDF>>) -> Result<(), Finding> {
    let (operand, ty, lenient, at) = match expr {
        Expr::Cast {
            kind, expr, data_type, ..
        } => {
            let operand = text.range(expr.span());
            let at = text.cast_type(&operand);
            let lenient = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
            ((**expr).clone(), &*data_type, lenient, at)
        }
        Expr::TypedString(literal) => {
            let at = text.before(text.bytes(literal.value.span).start);
            (Expr::Value(literal.value.clone()), &literal.data_type, false, at)
        }
        _ => return Ok(()),
    };
    let Some(ty) = column_type(ty) else {
        let written = ty.to_string().to_lowercase();
        return Err(text
            .finding("mapping::unknown_type", &at, format!("`{written}` is not a type"))
            .label("not a type")
            .help(
                "types are written as in PostgreSQL: bigint, double precision, numeric(7,2), text, timestamptz, uuid, jsonb, …",
            ));
    };
    let name = format!("{CAST}{}", casts.len());
    casts.push(Arc::new(ExactCast::written(name.clone(), ty, lenient)));
    *expr = call(name, vec![operand]);
    Ok(())
}

/// `substring(a from b for c)` as the function that it is.
pub(super) fn spelt_with_words(expr: &Expr) -> Option<Expr> {
    let Expr::Substring {
        expr,
        substring_from,
        substring_for,
        ..
    } = expr
    else {
        return None;
    };
    let start = substring_from
        .as_deref()
        .cloned()
        .unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    let length = substring_for.as_deref().cloned();
    let arguments = [(**expr).clone(), start].into_iter().chain(length);
    Some(call("substr".to_owned(), arguments.collect()))
}

/// A type as a cast names it.
fn column_type(written: &DataType) -> Option<ColumnType> {
    let text = written.to_string();
    ColumnType::parse(&text).or_else(|| match text.to_ascii_lowercase().as_str() {
        "float" => Some(ColumnType::Float64),
        "string" => Some(ColumnType::TEXT),
        _ => None,
    })
}

/// A number with an exponent as its plain digits: `1.5e3` is 1500.
///
/// # Errors
/// The finding, where it has more digits than any type.
pub(super) fn without_exponent(text: &Text<'_>, expr: &mut Expr) -> Result<(), Finding> {
    let Expr::Value(ValueWithSpan {
        value: Value::Number(digits, _),
        span,
    }) = expr
    else {
        return Ok(());
    };
    if !digits.contains(['e', 'E']) {
        return Ok(());
    }
    match plain(digits) {
        Some(plain) => {
            *digits = plain;
            Ok(())
        }
        None => Err(text
            .finding(
                "mapping::number",
                &text.bytes(*span),
                "this number has more digits than any type",
            )
            .label(format!("more than {DIGITS_MAX} digits"))),
    }
}

fn plain(number: &str) -> Option<String> {
    let (mantissa, exponent) = number.split_once(['e', 'E'])?;
    let exponent: i32 = exponent.parse().ok().filter(|exponent| (-1_000..=1_000).contains(exponent))?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let length = i32::try_from(digits.len()).ok()?;
    let plain = if point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else if point >= length {
        format!("{digits}{}", zeros(point - length))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).ok()?);
        format!("{whole}.{fraction}")
    };
    (plain.len() <= DIGITS_MAX + 2).then_some(plain)
}

fn call(name: String, arguments: Vec<Expr>) -> Expr {
    let ident = Ident {
        value: name,
        quote_style: Some('"'),
        span: arguments.first().map_or_else(Span::empty, Spanned::span),
    };
    let arguments = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(Function {
        name: ObjectName::from(vec![ident]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

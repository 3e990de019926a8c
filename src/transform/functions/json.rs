//! Functions of documents: they keep every digit and every spelling, and refuse what is no
//! document.

use std::sync::Arc;

use arrow::array::builder::StringBuilder;
use arrow::array::{Array, ArrayRef, AsArray, StringArray};

use super::super::cast::{self, Problem, document, json, text};
use super::arguments::{Answer, Argument, MISTYPED, Texts};
use super::pointer::{Finder, Found, Pointer};
use crate::data::column::ColumnType;

pub(super) const NO_KEY: &str = "NULL as a key of a JSON object";
pub(super) const SAME_KEY: &str = "a JSON object with the same key twice";
pub(super) const NO_FORM: &str = "a value that JSON has no form for";

/// `to_json(value)`.
pub(super) fn to_json(arguments: &[Argument], _rows: usize) -> Answer {
    let argument = arguments.first().ok_or(MISTYPED)?;
    Ok(Arc::new(documents(&argument.values, &argument.ty)?))
}

/// `parse_json(text)`.
pub(super) fn parse_json(arguments: &[Argument], _rows: usize) -> Answer {
    let texts = arguments.first().ok_or(MISTYPED)?.texts()?.column();
    texts.iter().flatten().try_for_each(document::check)?;
    Ok(Arc::new(texts.clone()))
}

/// `json_array(value, …)`.
pub(super) fn json_array(arguments: &[Argument], rows: usize) -> Answer {
    let elements = arguments.iter().map(Element::of).collect::<Result<Vec<_>, _>>()?;
    let mut out = StringBuilder::with_capacity(rows, rows * 16 * elements.len());
    let mut array = String::with_capacity(64);
    for row in 0..rows {
        array.clear();
        array.push('[');
        for (at, element) in elements.iter().enumerate() {
            if at > 0 {
                array.push(',');
            }
            array.push_str(element.get(row));
        }
        array.push(']');
        out.append_value(&array);
    }
    Ok(Arc::new(out.finish()))
}

/// `json_object(key, value, …)`.
pub(super) fn json_object(arguments: &[Argument], rows: usize) -> Answer {
    let pairs = arguments
        .chunks_exact(2)
        .map(|pair| Ok((pair[0].texts()?, Element::of(&pair[1])?)))
        .collect::<Result<Vec<_>, &'static str>>()?;
    let keys: Vec<Texts<'_>> = pairs.iter().map(|(key, _)| *key).collect();
    let constant = keys.iter().all(|key| key.constant().is_some());
    if constant {
        check_keys(&keys, 0)?;
    }
    let mut out = StringBuilder::with_capacity(rows, rows * 24 * pairs.len());
    let mut object = String::with_capacity(128);
    for row in 0..rows {
        if !constant {
            check_keys(&keys, row)?;
        }
        object.clear();
        object.push('{');
        for (at, (key, value)) in pairs.iter().enumerate() {
            if at > 0 {
                object.push(',');
            }
            document::quote(key.get(row).ok_or(NO_KEY)?, &mut object);
            object.push(':');
            object.push_str(value.get(row));
        }
        object.push('}');
        out.append_value(&object);
    }
    Ok(Arc::new(out.finish()))
}

/// Keys are few: each is compared with each.
fn check_keys(keys: &[Texts<'_>], row: usize) -> Result<(), &'static str> {
    for (at, key) in keys.iter().enumerate() {
        let key = key.get(row).ok_or(NO_KEY)?;
        if keys[..at].iter().any(|other| other.get(row) == Some(key)) {
            return Err(SAME_KEY);
        }
    }
    Ok(())
}

/// `json_get(json, path)`.
pub(super) fn json_get(arguments: &[Argument], rows: usize) -> Answer {
    find(arguments, rows, |found, out, _| {
        out.append_value(found.text);
        Ok(())
    })
}

/// `json_get_text(json, path)`.
pub(super) fn json_get_text(arguments: &[Argument], rows: usize) -> Answer {
    use crate::document::scan::Piece;
    find(arguments, rows, |found, out, scratch| {
        match found.piece {
            Piece::Null => out.append_null(),
            Piece::Text(quoted) if !quoted.escaped => out.append_value(quoted.raw),
            Piece::Text(quoted) => {
                scratch.clear();
                quoted.unescape(scratch).map_err(|_| document::HALF_PAIR)?;
                out.append_value(&*scratch);
            }
            _ => out.append_value(found.text),
        }
        Ok(())
    })
}

fn find(
    arguments: &[Argument],
    rows: usize,
    mut each: impl FnMut(Found<'_>, &mut StringBuilder, &mut String) -> Result<(), &'static str>,
) -> Answer {
    let [documents, paths] = arguments else {
        return Err(MISTYPED);
    };
    let (documents, paths) = (documents.texts()?, paths.texts()?);
    let constant = paths.constant().map(Pointer::parse).transpose()?;
    let mut finder = Finder::default();
    let mut scratch = String::new();
    let mut out = StringBuilder::with_capacity(rows, rows * 16);
    for row in 0..rows {
        let Some((document, path)) = documents.get(row).zip(paths.get(row)) else {
            out.append_null();
            continue;
        };
        let found = match &constant {
            Some(pointer) => finder.find(document, pointer)?,
            None => finder.find(document, &Pointer::parse(path)?)?,
        };
        match found {
            Some(found) => each(found, &mut out, &mut scratch)?,
            None => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// A value within an array or object; NULL is `null`.
struct Element {
    texts: StringArray,
    constant: bool,
}

impl Element {
    fn of(argument: &Argument) -> Result<Self, &'static str> {
        Ok(Self {
            texts: documents(&argument.values, &argument.ty)?,
            constant: argument.constant,
        })
    }

    fn get(&self, row: usize) -> &str {
        let row = if self.constant { 0 } else { row };
        if self.texts.is_valid(row) {
            self.texts.value(row)
        } else {
            "null"
        }
    }
}

/// Every value as a JSON text.
fn documents(values: &ArrayRef, ty: &ColumnType) -> Result<StringArray, &'static str> {
    use ColumnType as T;
    if values.data_type().is_null() {
        return Ok(StringArray::new_null(values.len()));
    }
    match ty {
        T::List(element) => lists(values, element),
        T::Json { .. } => {
            let texts = values.as_string_opt::<i32>().ok_or(MISTYPED)?;
            // What is put into a larger document must not end it early.
            texts.iter().flatten().try_for_each(document::check)?;
            Ok(texts.clone())
        }
        T::Text { .. } | T::Enum { .. } => Ok(quoted(values.as_string_opt::<i32>().ok_or(MISTYPED)?, document::quote)),
        T::Bool | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal { .. } | T::Numeric { .. } => {
            whole(json::to_json(values, ty, false, false))
        }
        T::Timestamp { .. } => Ok(quoted(&whole(text::spell(values, ty))?, quote_timestamp)),
        T::Date | T::Time { .. } | T::Interval | T::Uuid => Ok(quoted(&whole(text::spell(values, ty))?, document::quote)),
        T::Bytes | T::Opaque { .. } => Err(MISTYPED),
    }
}

/// Of a cast: all rows or none.
fn whole(outcome: Option<(ArrayRef, Vec<(u32, Problem)>)>) -> Result<StringArray, &'static str> {
    let (texts, problems) = outcome.ok_or(MISTYPED)?;
    match problems.first() {
        None => texts.as_string_opt::<i32>().cloned().ok_or(MISTYPED),
        Some((_, Problem::Json(why))) => Err(why),
        Some(_) => Err(NO_FORM),
    }
}

fn quoted(texts: &StringArray, quote: fn(&str, &mut String)) -> StringArray {
    let mut out = StringBuilder::with_capacity(texts.len(), texts.values().len() + 2 * texts.len());
    let mut scratch = String::with_capacity(64);
    for text in texts {
        match text {
            None => out.append_null(),
            Some(text) => {
                scratch.clear();
                quote(text, &mut scratch);
                out.append_value(&scratch);
            }
        }
    }
    out.finish()
}

/// ISO 8601 has a `T` between date and time.
fn quote_timestamp(text: &str, out: &mut String) {
    let start = out.len() + 1;
    document::quote(text, out);
    if let Some(blank) = out[start..].find(' ') {
        out.replace_range(start + blank..=start + blank, "T");
    }
}

fn lists(values: &ArrayRef, element: &ColumnType) -> Result<StringArray, &'static str> {
    let lists = values.as_list_opt::<i32>().ok_or(MISTYPED)?;
    let via = cast::promised(&lists.value_type()).ok_or(MISTYPED)?;
    let elements = documents(&cast::represent(lists.values(), &via).map_err(|_| NO_FORM)?, element)?;
    let mut out = StringBuilder::with_capacity(lists.len(), elements.values().len() + 2 * lists.len());
    let mut scratch = String::with_capacity(64);
    for (row, ends) in lists.value_offsets().windows(2).enumerate() {
        if lists.is_null(row) {
            out.append_null();
            continue;
        }
        scratch.clear();
        scratch.push('[');
        for at in ends[0]..ends[1] {
            let at = usize::try_from(at).map_err(|_| MISTYPED)?;
            if scratch.len() > 1 {
                scratch.push(',');
            }
            scratch.push_str(if elements.is_valid(at) { elements.value(at) } else { "null" });
        }
        scratch.push(']');
        out.append_value(&scratch);
    }
    Ok(out.finish())
}

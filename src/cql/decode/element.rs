//! The parts of a collection, vector, tuple or user-defined type.

use scylla::cluster::metadata::{CollectionType, ColumnType as CqlType};

use super::value::Problem;
use crate::cql::vint;

/// Elements of a list, set or vector, one after the other; keys and values in turn, of a map.
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
    left: usize,
    form: Form,
}

/// How elements stand beside each other.
#[derive(Clone, Copy)]
enum Form {
    /// Each behind its length in four bytes.
    Counted,
    /// All of one length.
    Fixed(usize),
    /// Each behind its length in as many bytes as it needs.
    Varying,
}

impl<'a> Elements<'a> {
    /// Of a value of that type.
    ///
    /// # Errors
    /// [`Problem::Malformed`] where the value is none.
    pub(crate) fn of(ty: &CqlType<'_>, bytes: &'a [u8]) -> Result<Self, Problem> {
        if let CqlType::Vector { typ, dimensions } = ty {
            return Ok(Self {
                rest: bytes,
                left: usize::from(*dimensions),
                form: fixed_size(typ).map_or(Form::Varying, Form::Fixed),
            });
        }
        if bytes.is_empty() {
            return Err(Problem::Empty);
        }
        let pair = matches!(
            ty,
            CqlType::Collection {
                typ: CollectionType::Map(..),
                ..
            }
        );
        let (count, rest) = bytes.split_first_chunk::<4>().ok_or(Problem::Malformed)?;
        let count = usize::try_from(i32::from_be_bytes(*count)).map_err(|_| Problem::Malformed)?;
        Ok(Self {
            rest,
            left: if pair { count.saturating_mul(2) } else { count },
            form: Form::Counted,
        })
    }

    fn take(&mut self) -> Result<Option<&'a [u8]>, Problem> {
        let length = match self.form {
            Form::Counted => return counted(&mut self.rest),
            Form::Fixed(length) => length,
            Form::Varying => {
                let length = vint::take_unsigned(&mut self.rest).ok_or(Problem::Malformed)?;
                usize::try_from(length).map_err(|_| Problem::Malformed)?
            }
        };
        split(&mut self.rest, length).map(Some)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Option<&'a [u8]>, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            // What follows the last belongs to nothing.
            let over = !std::mem::take(&mut self.rest).is_empty();
            return over.then_some(Err(Problem::Malformed));
        }
        self.left -= 1;
        Some(self.take().inspect_err(|_| (self.left, self.rest) = (0, &[])))
    }
}

/// The next part of a tuple or user-defined type; those at its end may be missing.
pub(super) fn part<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Problem> {
    if rest.is_empty() { Ok(None) } else { counted(rest) }
}

fn counted<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Problem> {
    let (length, after) = rest.split_first_chunk::<4>().ok_or(Problem::Malformed)?;
    *rest = after;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) => split(rest, length).map(Some),
        Err(_) => Ok(None),
    }
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Problem> {
    let (taken, after) = rest.split_at_checked(length).ok_or(Problem::Malformed)?;
    *rest = after;
    Ok(taken)
}

/// Bytes of each element of a vector, where all have as many.
pub(crate) fn fixed_size(ty: &CqlType<'_>) -> Option<usize> {
    match ty {
        CqlType::Native(native) => native.type_size_for_vector(),
        CqlType::Vector { typ, dimensions } => Some(fixed_size(typ)? * usize::from(*dimensions)),
        _ => None,
    }
}

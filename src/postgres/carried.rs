//! Object ids within the binary form of a value: arrays name the type of their elements,
//! composites those of their fields. Those of one database mean nothing in another, so that a
//! value that is passed on gets the target's own.

/// What ids the values of a type carry, as the target has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Carried {
    /// None.
    #[default]
    Nothing,
    /// An array.
    Array {
        /// Id of the element type.
        element: u32,
        /// Within the elements.
        inner: Box<Carried>,
    },
    /// A composite: of each field the id of its type, and what is within it.
    Composite(Vec<(u32, Carried)>),
    /// A range whose bounds carry ids.
    Range(Box<Carried>),
    /// A multirange whose bounds do.
    Multirange(Box<Carried>),
}

impl Carried {
    /// Id of the element type of an array.
    pub(super) const fn element(&self) -> u32 {
        match self {
            Self::Array { element, .. } => *element,
            _ => 0,
        }
    }

    /// Puts these ids in the place of those in `value`. `None` where it is not of this form.
    pub(super) fn put(&self, value: &mut [u8]) -> Option<()> {
        match self {
            Self::Nothing => Some(()),
            Self::Array { element, inner } => {
                let (header, rest) = value.split_at_mut_checked(12)?;
                header[8..].copy_from_slice(&element.to_be_bytes());
                if **inner == Self::Nothing {
                    return Some(());
                }
                let dimensions = usize::try_from(word(header)?).ok()?;
                inner.put_each(rest.get_mut(dimensions.checked_mul(8)?..)?)
            }
            Self::Composite(fields) => {
                let (count, mut rest) = value.split_at_mut_checked(4)?;
                if usize::try_from(word(count)?).ok()? != fields.len() {
                    return None;
                }
                for (id, inner) in fields {
                    let (at, field) = rest.split_at_mut_checked(4)?;
                    at.copy_from_slice(&id.to_be_bytes());
                    rest = inner.put_next(field)?;
                }
                Some(())
            }
            Self::Range(bound) => bound.put_each(value.get_mut(1..)?),
            Self::Multirange(bound) => {
                let mut rest = value.get_mut(4..)?;
                while !rest.is_empty() {
                    let (range, after) = split(rest)?;
                    bound.put_each(range.get_mut(1..)?)?;
                    rest = after;
                }
                Some(())
            }
        }
    }

    /// Values behind one another, each with its length.
    fn put_each(&self, mut values: &mut [u8]) -> Option<()> {
        while !values.is_empty() {
            values = self.put_next(values)?;
        }
        Some(())
    }

    fn put_next<'a>(&self, values: &'a mut [u8]) -> Option<&'a mut [u8]> {
        if word(values)? == -1 {
            return values.get_mut(4..);
        }
        let (value, rest) = split(values)?;
        self.put(value)?;
        Some(rest)
    }
}

fn word(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|word| i32::from_be_bytes(*word))
}

fn split(bytes: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let length = usize::try_from(word(bytes)?).ok()?;
    bytes.get_mut(4..)?.split_at_mut_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(element: u32, items: &[Option<Vec<u8>>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [1, 0, element, u32::try_from(items.len()).expect("few"), 1] {
            bytes.extend(number.to_be_bytes());
        }
        for item in items {
            bytes.extend(field(item.as_deref()));
        }
        bytes
    }

    fn field(value: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = value
            .map_or(-1, |value| i32::try_from(value.len()).expect("short"))
            .to_be_bytes()
            .to_vec();
        bytes.extend(value.unwrap_or_default());
        bytes
    }

    fn composite(fields: &[(u32, Option<Vec<u8>>)]) -> Vec<u8> {
        let mut bytes = u32::try_from(fields.len()).expect("few").to_be_bytes().to_vec();
        for (id, value) in fields {
            bytes.extend(id.to_be_bytes());
            bytes.extend(field(value.as_deref()));
        }
        bytes
    }

    #[test]
    fn ids_are_replaced_however_deep_they_lie() {
        let value = |outer, row, inner| {
            let row_value = composite(&[
                (23, Some(vec![0, 0, 0, 1])),
                (inner, Some(array(row, &[None, Some(b"x".to_vec())]))),
            ]);
            array(outer, &[Some(row_value), None])
        };
        let carried = Carried::Array {
            element: 7,
            inner: Box::new(Carried::Composite(vec![
                (23, Carried::Nothing),
                (
                    9,
                    Carried::Array {
                        element: 8,
                        inner: Box::new(Carried::Nothing),
                    },
                ),
            ])),
        };
        let mut sent = value(70, 80, 90);
        assert_eq!(carried.put(&mut sent), Some(()));
        assert_eq!(sent, value(7, 8, 9));
        let mut cut = sent[..sent.len() - 5].to_vec();
        assert_eq!(carried.put(&mut cut), None);
        assert_eq!(Carried::Composite(Vec::new()).put(&mut [0, 0, 0, 1]), None);
    }

    #[test]
    fn bounds_of_ranges_are_looked_into() {
        let bound = Carried::Array {
            element: 5,
            inner: Box::new(Carried::Nothing),
        };
        let range = |id| {
            let mut bytes = vec![2];
            bytes.extend(field(Some(&array(id, &[]))));
            bytes.extend(field(Some(&array(id, &[]))));
            bytes
        };
        let multirange = |id| {
            let mut bytes = vec![0, 0, 0, 2];
            bytes.extend(field(Some(&range(id))));
            bytes.extend(field(Some(&[1])));
            bytes
        };
        let mut sent = range(50);
        assert_eq!(Carried::Range(Box::new(bound.clone())).put(&mut sent), Some(()));
        assert_eq!(sent, range(5));
        let mut sent = multirange(50);
        assert_eq!(Carried::Multirange(Box::new(bound)).put(&mut sent), Some(()));
        assert_eq!(sent, multirange(5));
    }
}

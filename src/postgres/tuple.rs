//! Rows in a stream of COPY BINARY: a header, tuples, a trailer, cut into messages anywhere.

use bytes::{Bytes, BytesMut};

use super::error::lost;
use crate::{Error, ErrorKind, Result};

/// What every stream begins with.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The signature, flags, and the length of an extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 8;

/// Cuts messages into tuples.
pub(crate) struct Tuples {
    /// Fields that every tuple has.
    fields: usize,
    /// What has arrived last.
    current: Bytes,
    /// Up to where of it is handed out.
    at: usize,
    /// A tuple that has not arrived as a whole.
    pending: BytesMut,
    began: bool,
    ended: bool,
}

impl Tuples {
    pub(crate) fn new(fields: usize) -> Self {
        Self {
            fields,
            current: Bytes::new(),
            at: 0,
            pending: BytesMut::new(),
            began: false,
            ended: false,
        }
    }

    /// Takes in the next message. All tuples of the one before were handed out.
    pub(crate) fn push(&mut self, message: Bytes) {
        self.at = 0;
        if self.pending.is_empty() {
            self.current = message;
        } else {
            self.pending.extend_from_slice(&message);
            self.current = std::mem::take(&mut self.pending).freeze();
        }
    }

    /// The fields of the next tuple, behind their number; `None` where the next message is needed.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        if !self.began && !self.header()? {
            self.wait();
            return Ok(None);
        }
        let rest = &self.current[self.at..];
        let Some(count) = rest.first_chunk::<2>() else {
            self.wait();
            return Ok(None);
        };
        let count = i16::from_be_bytes(*count);
        if self.ended {
            return Err(malformed());
        }
        if count == -1 {
            self.ended = rest.len() == 2;
            self.at = self.current.len();
            return if self.ended { Ok(None) } else { Err(malformed()) };
        }
        if usize::try_from(count).ok() != Some(self.fields) {
            return Err(malformed());
        }
        let Some(end) = end(rest, self.fields)? else {
            self.wait();
            return Ok(None);
        };
        let began = self.at + 2;
        self.at += end;
        Ok(Some(&self.current[began..self.at]))
    }

    /// The stream has ended: with its trailer, or broken off.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        Err(lost("the rows broke off before their end"))
    }

    fn header(&mut self) -> Result<bool> {
        let Some(header) = self.current.first_chunk::<HEADER_BYTES>() else {
            return Ok(false);
        };
        let extension = length(&header[HEADER_BYTES - 4..]).and_then(|length| usize::try_from(length).ok());
        let (Some(extension), true) = (extension, header.starts_with(SIGNATURE)) else {
            return Err(malformed());
        };
        if self.current.len() < HEADER_BYTES + extension {
            return Ok(false);
        }
        self.at = HEADER_BYTES + extension;
        self.began = true;
        Ok(true)
    }

    /// Keeps what there is until more comes.
    fn wait(&mut self) {
        if self.at < self.current.len() {
            let rest = std::mem::take(&mut self.current).split_off(self.at);
            self.pending = rest.try_into_mut().unwrap_or_else(|rest| BytesMut::from(&rest[..]));
        }
        self.at = 0;
        self.current = Bytes::new();
    }
}

/// Where the tuple at the beginning of `bytes` ends; `None` where it is not there as a whole.
pub(crate) fn end(bytes: &[u8], fields: usize) -> Result<Option<usize>> {
    let mut at = 2;
    for _ in 0..fields {
        let Some(length) = bytes.get(at..).and_then(length) else {
            return Ok(None);
        };
        at += 4;
        match length {
            -1 => {}
            length => at += usize::try_from(length).map_err(|_| malformed())?,
        }
    }
    Ok((at <= bytes.len()).then_some(at))
}

fn length(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk::<4>().map(|length| i32::from_be_bytes(*length))
}

fn malformed() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the server sent rows in another form than it was asked for",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 3, 9, 9, 9]);
        bytes.extend([0, 2, 0, 0, 0, 1, 7, 0xff, 0xff, 0xff, 0xff]);
        bytes.extend([0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2]);
        bytes.extend([0xff, 0xff]);
        bytes
    }

    #[test]
    fn tuples_come_out_wherever_messages_are_cut() {
        let stream = stream();
        for size in 1..=stream.len() {
            let mut tuples = Tuples::new(2);
            let mut found = Vec::new();
            for message in stream.chunks(size) {
                tuples.push(Bytes::copy_from_slice(message));
                while let Some(tuple) = tuples.next().expect("well formed") {
                    found.push(tuple.to_vec());
                }
            }
            tuples.finish().expect("its end is there");
            assert_eq!(
                found,
                [
                    vec![0, 0, 0, 1, 7, 0xff, 0xff, 0xff, 0xff],
                    vec![0, 0, 0, 0, 0, 0, 0, 2, 1, 2]
                ],
                "cut at {size}"
            );
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_no_end() {
        let stream = stream();
        let mut tuples = Tuples::new(2);
        tuples.push(Bytes::copy_from_slice(&stream[..stream.len() - 2]));
        while tuples.next().expect("well formed").is_some() {}
        assert_eq!(tuples.finish().expect_err("no trailer").kind(), ErrorKind::Lost);
    }

    #[test]
    fn another_form_is_refused() {
        let mut tuples = Tuples::new(3);
        tuples.push(Bytes::from(stream()));
        assert_eq!(tuples.next().expect_err("two fields").kind(), ErrorKind::Internal);
        let mut tuples = Tuples::new(2);
        tuples.push(Bytes::from_static(b"id,name\n1,a line of text\n"));
        assert!(tuples.next().is_err());
    }
}

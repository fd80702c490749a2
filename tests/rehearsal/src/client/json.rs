//! JSON as the vendor's client prints it: a blank on both sides of the colon, lists on one line.

use std::io::{self, Write};

use serde_json::{
    Value,
    ser::{Formatter, Serializer},
};

/// `value`, printed.
pub(super) fn pretty(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Spaced { depth: 0 });
    serde::Serialize::serialize(value, &mut serializer).expect("a vector takes every byte");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

struct Spaced {
    depth: usize,
}

impl Spaced {
    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        write!(writer, "\n{:width$}", "", width = 2 * self.depth)
    }
}

impl Formatter for Spaced {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"[ ")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" ]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        self.new_line(writer)?;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.new_line(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" : ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_like_the_guide() {
        let value = serde_json::json!({"DeviceId": "JID", "UnlockStatus": {"State": "LOCKED"}, "N": [{"A": 1}]});
        let text = pretty(&value);
        assert!(text.starts_with("{\n  \"DeviceId\" : \"JID\",\n"), "{text}");
        assert!(text.contains("\n    \"State\" : \"LOCKED\"\n  }"), "{text}");
        assert!(text.contains("[ {\n"), "{text}");
    }
}

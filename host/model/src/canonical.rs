//! Canonical JSON (RFC 8785): one spelling for each value, so that equal values have equal digests.
//!
//! Written here because the general writers go by way of a serialiser that sorts every object anew: on a vocabulary of
//! 5 MB that takes twenty times as long. `serde_json_canonicalizer` is the reference that the tests compare with.

use serde_json::{Map, Number, Value};

/// Up to here every integer is a double of its own, and written as its digits (ECMAScript, Number::toString).
const EXACT_MAX: u64 = 1 << 53;

/// The canonical form of a JSON value: UTF-8, members sorted by their UTF-16 code units, numbers as ECMAScript
/// writes them, no space. O(bytes): what it costs is the way
/// through the value's memory, about 50 ns a member.
pub fn canonical_json(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(members, out),
    }
}

/// A map has its members in the order of their names' bytes. That is the order of their UTF-16 code units but for names with
/// characters above the surrogates, which stand behind those without in both. So members from the first such name on
/// are put in order once they are written.
fn write_object(members: &Map<String, Value>, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut high: Vec<(&String, usize)> = Vec::new();
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if !high.is_empty() || !is_below_surrogates(name) {
            high.push((name, out.len()));
        }
        write_string(name, out);
        out.push(b':');
        write(value, out);
    }
    if high.len() > 1 {
        put_in_order(&high, out);
    }
    out.push(b'}');
}

fn is_below_surrogates(name: &str) -> bool {
    // U+D800 and above begin with 0xED or more.
    name.is_ascii() || name.bytes().all(|byte| byte < 0xED)
}

/// Sorts the members that `out` ends with; of each, the name and where it begins.
fn put_in_order(members: &[(&String, usize)], out: &mut Vec<u8>) {
    let begin = members[0].1;
    let written = out.split_off(begin);
    let ends = members[1..].iter().map(|(_, next)| next - 1).chain([begin + written.len()]);
    let mut sorted: Vec<(&String, &[u8])> = members
        .iter()
        .zip(ends)
        .map(|((name, start), end)| (*name, &written[start - begin..end - begin]))
        .collect();
    sorted.sort_by(|one, two| one.0.encode_utf16().cmp(two.0.encode_utf16()));
    for (index, (_, member)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(member);
    }
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    let integer = number.as_u64().map(|integer| (false, integer));
    let integer = integer.or_else(|| number.as_i64().map(|integer| (true, integer.unsigned_abs())));
    match integer {
        Some((negative, integer)) if integer <= EXACT_MAX => write_integer(negative, integer, out),
        _ => {
            let double = number.as_f64().expect("a JSON number is a finite double");
            out.extend_from_slice(ryu_js::Buffer::new().format_finite(double).as_bytes());
        }
    }
}

fn write_integer(negative: bool, mut integer: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (integer % 10) as u8;
        integer /= 10;
        if integer == 0 {
            break;
        }
    }
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        write_escape(rest[at], out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(value: &Value) {
        let expected = serde_json_canonicalizer::to_vec(value).expect("the reference writes it");
        let got = canonical_json(value);
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&expected));
    }

    #[test]
    fn v1_numbers_strings_and_members_are_written_as_the_reference_does() {
        let exact = 1_u64 << 53;
        check(&json!([0, -0.0, 1.0, -1, 1e21, 1e-7, 0.1, 333_333_333.333_333_3, f64::MIN_POSITIVE]));
        check(&json!([
            exact - 1,
            exact,
            exact + 1,
            u64::MAX,
            i64::MIN,
            -(exact as i64),
            -(exact as i64) - 1
        ]));
        check(&json!((0..0x100).filter_map(char::from_u32).collect::<String>()));
        check(&json!({"\u{e000}": 1, "\u{10000}": 2, "a": 3, "\u{d7ff}": 4, "": 5, "\n": 6, "\u{ffff}": 7}));
        check(
            &json!({"a": 1, "\u{e000}": {"\u{fffd}b": 1, "\u{1f600}": [], "\u{fffd}": 2}, "\u{1f600}": 3, "\u{ffff}": {}}),
        );
        check(&json!({"b": {}, "a": [[], [{}], null, true, false, "\u{2028}\u{7f}\"\\/"]}));
    }

    #[test]
    fn v1_a_number_is_read_to_its_last_bit() {
        for text in ["2.0030397744267762e-253", "1.7005001000000001e+308", "0.30000000000000004"] {
            let value: Value = serde_json::from_str(text).expect("a number");
            let nearest: f64 = text.parse().expect("a number");
            assert_eq!(value.as_f64().map(f64::to_bits), Some(nearest.to_bits()), "{text}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            (-1000_i64..1000).prop_map(Value::from),
        ];
        let odd =
            prop::sample::select(vec!['a', '\u{d7ff}', '\u{e000}', '\u{ffff}', '\u{10000}', '\u{10ffff}']);
        let text = prop::collection::vec(prop_oneof![any::<char>(), odd], 0..6).prop_map(String::from_iter);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number,
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec((text.clone(), inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn v1_any_value_is_written_as_the_reference_does(value in values()) {
            check(&value);
        }
    }
}

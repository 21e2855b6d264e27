//! Server-sent events, as far as Floret sends them: a name and a JSON document each.

use serde_json::Value;

/// Longest line that is kept while its end is waited for.
const LINE_BYTES_MAX: usize = 256 << 20;

/// Reads events from the pieces of a body, wherever these are cut.
#[derive(Default)]
pub(super) struct Events {
    begun: Vec<u8>,
    name: String,
    data: String,
}

impl Events {
    /// The events that end in a piece. Nothing if a line is too long, or no event is read where one should be.
    pub fn read(&mut self, piece: &[u8]) -> Option<Vec<(String, Value)>> {
        let mut events = Vec::new();
        let mut lines = piece.split(|byte| *byte == b'\n');
        let last = lines.next_back().unwrap_or_default();
        for end in lines {
            self.begun.extend_from_slice(end);
            let line = std::mem::take(&mut self.begun);
            events.extend(self.line(std::str::from_utf8(&line).ok()?.trim_end_matches('\r'))?);
        }
        self.begun.extend_from_slice(last);
        (self.begun.len() <= LINE_BYTES_MAX).then_some(events)
    }

    /// The event that a line ends, if it ends one.
    fn line(&mut self, line: &str) -> Option<Option<(String, Value)>> {
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            return match data.is_empty() {
                true => Some(None),
                false => serde_json::from_str(&data).ok().map(|data| Some((name, data))),
            };
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.data.push_str(value),
            // Ids, and comments that keep the connection alive.
            _ => {}
        }
        Some(None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_read_wherever_they_are_cut() {
        let text = ": alive\n\nid: 1\nevent: planned\ndata: {\"steps\": [\"\u{fc}\"]}\n\nid:2\r\nevent:ended\r\ndata:7\r\n\r\nid: 3\nevent: cut";
        let expected = [("planned".to_owned(), json!({"steps": ["ü"]})), ("ended".to_owned(), json!(7))];
        for length in 1..=text.len() {
            let mut events = Events::default();
            let pieces = text.as_bytes().chunks(length);
            let read: Vec<_> = pieces.flat_map(|piece| events.read(piece).expect("good events")).collect();
            assert_eq!(read, expected, "{length}");
        }
    }

    #[test]
    fn what_is_no_event_is_told() {
        for text in [&b"data: {\n\n"[..], b"data: \xff\n\n"] {
            assert_eq!(Events::default().read(text), None);
        }
    }
}

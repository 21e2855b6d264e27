use std::collections::BTreeMap;

/// What a registry asks for before it answers: a `WWW-Authenticate` header (RFC 9110, 11.6.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Challenge {
    /// User name and password.
    Basic,
    /// A token, to be had at `realm`.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Read a header; `None` for what is neither.
    pub(super) fn read(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest)?;
        let mut take = |name: &str| parameters.remove(name);
        Some(Self::Bearer { realm: take("realm")?, service: take("service"), scope: take("scope") })
    }
}

/// `name="value", name=value`; names in lower case.
fn parameters(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    loop {
        text = text.trim_start_matches([' ', ',']);
        if text.is_empty() {
            return Some(found);
        }
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find([',', ' ']).unwrap_or(rest.len())),
        };
        found.insert(name.trim().to_ascii_lowercase(), value.to_owned());
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::Challenge;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            Some(Challenge::Bearer { realm: realm.to_owned(), service: text(service), scope: text(scope) })
        };
        for (header, expected) in [
            ("Basic realm=\"registry\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a:pull,push\"",
                bearer("https://a/t", Some("s"), Some("repository:a:pull,push")),
            ),
            ("bearer Realm=\"https://a/t\" , service=s", bearer("https://a/t", Some("s"), None)),
            ("Bearer service=\"s\"", None),
            ("Bearer realm=\"https://a", None),
            ("Bearer realm", None),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(Challenge::read(header), expected, "{header}");
        }
    }
}

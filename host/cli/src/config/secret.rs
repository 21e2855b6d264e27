use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A value that is never shown: a key, or a URI that may hold a password. Of a URI everything else is shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub String);

impl Secret {
    fn shown(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else { return "***".to_owned() };
        match rest.rsplit_once('@') {
            Some((_, place)) => format!("{scheme}://***@{place}"),
            None => self.0.clone(),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn passwords_and_keys_are_not_shown() {
        for (secret, shown) in [
            ("mongodb://ada:pa@ss@db:27017/x?replicaSet=rs0", "mongodb://***@db:27017/x?replicaSet=rs0"),
            ("mongodb://db/x", "mongodb://db/x"),
            ("wJalrXUtnFEMI/K7MDENG", "***"),
        ] {
            let secret = Secret(secret.to_owned());
            assert_eq!(secret.to_string(), shown);
            assert_eq!(format!("{secret:?}"), shown);
            assert_eq!(serde_json::to_value(&secret).expect("text"), shown);
        }
    }
}

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use floret_model::Digest;

/// A component in a registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RegistryPlace {
    /// `HOST` or `HOST:PORT`.
    pub host: String,
    pub repository: String,
    pub tag: Option<String>,
    /// Of the manifest.
    pub digest: Option<Digest>,
}

/// A component in a layout folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LayoutPlace {
    pub folder: PathBuf,
    pub tag: Option<String>,
    /// Of the manifest.
    pub digest: Option<Digest>,
}

/// `sha256:` and 64 hexadecimal digits, or the digits alone.
pub(crate) fn digest(text: &str) -> Result<Digest, String> {
    let expected =
        || format!("{text:?} is no digest: expected sha256: and 64 hexadecimal digits, in lower case");
    text.strip_prefix("sha256:").unwrap_or(text).parse().map_err(|_| expected())
}

/// A digest with its algorithm, after an `@`.
fn split_digest(text: &str) -> Result<(&str, Option<Digest>), String> {
    match text.rsplit_once('@') {
        Some((place, text)) if text.starts_with("sha256:") => Ok((place, Some(digest(text)?))),
        Some((_, text)) => Err(format!("{text:?} is no digest: expected sha256: and 64 hexadecimal digits")),
        None => Ok((text, None)),
    }
}

fn is_tag(text: &str) -> bool {
    let good = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    (1..=128).contains(&text.len()) && text.chars().all(good) && !text.starts_with(['.', '-'])
}

fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        let edge = |it: Option<char>| it.is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
        let good = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "._-".contains(it);
        edge(part.chars().next()) && edge(part.chars().last()) && part.chars().all(good)
    };
    text.len() <= 255 && text.split('/').all(part)
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let good = |it: char| it.is_ascii_alphanumeric() || ".-:".contains(it);
    !name.is_empty() && name.chars().all(good) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

impl FromStr for RegistryPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |what: String| format!("{what}: expected oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]");
        let (place, digest) = split_digest(text).map_err(wrong)?;
        let (host, rest) = place.split_once('/').ok_or_else(|| wrong("there is no repository".to_owned()))?;
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !is_host(host) {
            return Err(wrong(format!("{host:?} is no host")));
        }
        if !is_repository(repository) {
            return Err(wrong(format!(
                "{repository:?} is no repository: lower-case letters, digits, . _ - and /"
            )));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(wrong(format!("{tag:?} is no tag")));
        }
        let (host, repository) = (host.to_owned(), repository.to_owned());
        Ok(Self { host, repository, tag: tag.map(str::to_owned), digest })
    }
}

impl RegistryPlace {
    /// What the registry is asked for: the digest if it is known, else the tag, else `latest`.
    pub(super) fn reference(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => format!("sha256:{digest}"),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// Whether it is this machine, which needs no TLS.
    pub(super) fn is_local(&self) -> bool {
        let name = match self.host.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => name,
            _ => &self.host,
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
    }
}

impl fmt::Display for RegistryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.host, self.repository)?;
        write_rest(f, self.tag.as_deref(), self.digest)
    }
}

impl FromStr for LayoutPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, digest) = split_digest(text)
            .map_err(|what| format!("{what}: expected oci-layout:FOLDER[:TAG][@sha256:DIGEST]"))?;
        let (folder, tag) = match place.rsplit_once(':') {
            Some((folder, tag)) if is_tag(tag) && !folder.is_empty() => (folder, Some(tag.to_owned())),
            _ => (place, None),
        };
        if folder.is_empty() {
            return Err("there is no folder: expected oci-layout:FOLDER[:TAG][@sha256:DIGEST]".to_owned());
        }
        Ok(Self { folder: folder.into(), tag, digest })
    }
}

impl fmt::Display for LayoutPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci-layout:{}", self.folder.display())?;
        write_rest(f, self.tag.as_deref(), self.digest)
    }
}

fn write_rest(f: &mut fmt::Formatter<'_>, tag: Option<&str>, digest: Option<Digest>) -> fmt::Result {
    if let Some(tag) = tag {
        write!(f, ":{tag}")?;
    }
    match digest {
        Some(digest) => write!(f, "@sha256:{digest}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_registries_are_read_and_written_the_same() {
        let digest = Digest::of(b"manifest");
        for text in [
            "registry.example.org/floret/trie".to_owned(),
            "localhost:5000/trie:1.0.0".to_owned(),
            "[::1]:5000/trie:latest".to_owned(),
            format!("127.0.0.1:5000/a/b/c_d-e.f:1.0@sha256:{digest}"),
            format!("ghcr.io/floret/trie@sha256:{digest}"),
        ] {
            let place: RegistryPlace = text.parse().expect("a place");
            assert_eq!(place.to_string(), format!("oci://{text}"));
            assert_eq!(
                place.is_local(),
                ["localhost", "[::1]", "127."].iter().any(|it| text.starts_with(it))
            );
        }
        for (text, words) in [
            ("", "no repository"),
            ("registry.example.org", "no repository"),
            ("registry.example.org/", "is no repository"),
            ("registry.example.org/Trie", "is no repository"),
            ("registry.example.org/../trie", "is no repository"),
            ("registry.example.org/trie:", "is no tag"),
            ("registry.example.org/trie:a b", "is no tag"),
            ("ada:secret@registry.example.org/trie", "is no digest"),
            ("registry.example.org/trie@sha256:00", "is no digest"),
            ("registry.example.org/trie@md5:00", "is no digest"),
            ("registry.example.org:port/trie", "is no host"),
            ("/trie", "is no host"),
        ] {
            let error = text.parse::<RegistryPlace>().expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn places_in_folders_are_read_and_written_the_same() {
        for (text, folder, tag) in [
            ("layouts/trie", "layouts/trie", None),
            ("layouts/trie:1.0.0", "layouts/trie", Some("1.0.0")),
            ("a:b/c", "a:b/c", None),
        ] {
            let place: LayoutPlace = text.parse().expect("a place");
            assert_eq!((place.folder.to_str(), place.tag.as_deref()), (Some(folder), tag));
            assert_eq!(place.to_string(), format!("oci-layout:{text}"));
        }
        assert!("".parse::<LayoutPlace>().is_err());
    }
}

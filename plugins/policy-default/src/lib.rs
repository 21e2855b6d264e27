//! How Floret compresses unless told otherwise (promises H3 and M18).
//!
//! In this order:
//!
//! 1. The flag `real_time`: LZ4, whatever it is.
//! 2. Types that are never compressed: `dictionary` (small and inline), `semantic` (embeddings do not shrink).
//! 3. A sample of high entropy: as it is.
//! 4. A `corpus` of over 10,000 words, a `trie` of over 10,000 nodes, `literature` or `text` over 1 KiB:
//!    compressed; below that as it is. A corpus or trie whose items were not counted is judged by size.
//! 5. By size: below 1 KiB as it is, below 1 MB zstd 3, above zstd 9. (gzip is for compatibility: zstd 9 is
//!    both smaller and faster than gzip 9.)

use floret_sdk::policy::{Choice, Codec, CompressionPolicy, Profile};
use floret_sdk::{Description, Error};
use serde::Deserialize;

/// The thresholds; what they mean stands in `schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    small_bytes: u64,
    large_bytes: u64,
    level: i32,
    large_level: i32,
    corpus_words: u64,
    trie_nodes: u64,
    text_bytes: u64,
    never: Vec<String>,
    entropy_max: f32,
    delta_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            small_bytes: 1024,
            large_bytes: 1_000_000,
            level: 3,
            large_level: 9,
            corpus_words: 10_000,
            trie_nodes: 10_000,
            text_bytes: 1024,
            never: vec!["dictionary".to_owned(), "semantic".to_owned()],
            entropy_max: 7.5,
            delta_bytes: 4096,
        }
    }
}

/// The component.
pub struct ByTypeAndSize;

impl CompressionPolicy for ByTypeAndSize {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "policy-default".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Compresses by type and size: LZ4 for real time, zstd for what is worth it".into(),
            output_media_type: String::new(),
            config_schema: include_str!("schema.json").into(),
        }
    }

    fn choose(profile: &Profile, config: &Config) -> Result<Choice, Error> {
        if config.small_bytes > config.large_bytes {
            return Err(Error::InvalidConfig(format!(
                "small_bytes ({}) must not be above large_bytes ({})",
                config.small_bytes, config.large_bytes
            )));
        }
        Ok(decide(profile, config))
    }
}

fn decide(profile: &Profile, config: &Config) -> Choice {
    if profile.flags.iter().any(|flag| flag == "real_time") {
        return Choice { codec: Codec::Lz4, level: 0, delta: false, reason: "real_time is set".into() };
    }
    let kind = profile.resource_type.as_str();
    if config.never.iter().any(|never| never == kind) {
        return plain(format!("type {kind} is never compressed"));
    }
    if profile.entropy_bits_per_byte > config.entropy_max {
        return plain(format!("entropy over {} bits a byte", config.entropy_max));
    }
    let (amount, limit, unit) = match (kind, profile.items) {
        ("corpus", Some(words)) => (words, config.corpus_words, "words"),
        ("trie", Some(nodes)) => (nodes, config.trie_nodes, "nodes"),
        ("literature" | "text", _) => (profile.size_bytes, config.text_bytes, "bytes"),
        _ => return by_size(profile, config),
    };
    if amount <= limit { plain(format!("not over {limit} {unit}")) } else { by_size(profile, config) }
}

fn by_size(profile: &Profile, config: &Config) -> Choice {
    if profile.size_bytes < config.small_bytes {
        return plain(format!("under {} bytes", config.small_bytes));
    }
    let (level, reason) = if profile.size_bytes < config.large_bytes {
        (config.level, format!("under {} bytes", config.large_bytes))
    } else {
        (config.large_level, format!("{} bytes or more", config.large_bytes))
    };
    Choice { codec: Codec::Zstd, level, delta: profile.size_bytes >= config.delta_bytes, reason }
}

fn plain(reason: String) -> Choice {
    Choice { codec: Codec::None, level: 0, delta: false, reason }
}

floret_sdk::export_policy!(ByTypeAndSize);

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(kind: &str, size_bytes: u64, items: Option<u64>) -> Profile {
        Profile {
            size_bytes,
            namespace: "default".into(),
            resource_type: kind.into(),
            media_type: "application/octet-stream".into(),
            items,
            flags: Vec::new(),
            entropy_bits_per_byte: 4.5,
        }
    }

    fn codec(profile: &Profile) -> (Codec, i32) {
        let choice = ByTypeAndSize::choose(profile, &Config::default()).expect("the defaults are consistent");
        assert!(choice.reason.len() <= 256);
        (choice.codec, choice.level)
    }

    #[test]
    fn m18_by_type() {
        let cases = [
            ("corpus", 200_000, Some(10_000), (Codec::None, 0)),
            ("corpus", 200_000, Some(10_001), (Codec::Zstd, 3)),
            ("corpus", 2_000_000, Some(10_001), (Codec::Zstd, 9)),
            ("corpus", 200_000, None, (Codec::Zstd, 3)),
            ("trie", 200_000, Some(10_000), (Codec::None, 0)),
            ("trie", 200_000, Some(10_001), (Codec::Zstd, 3)),
            ("literature", 1024, None, (Codec::None, 0)),
            ("literature", 1025, None, (Codec::Zstd, 3)),
            ("dictionary", 5_000_000, None, (Codec::None, 0)),
            ("semantic", 5_000_000, Some(100_000), (Codec::None, 0)),
        ];
        for (kind, size, items, expected) in cases {
            assert_eq!(codec(&profile(kind, size, items)), expected, "{kind} {size} {items:?}");
        }
    }

    #[test]
    fn h3_by_size_and_flag() {
        let cases = [
            (0, Codec::None, 0),
            (1023, Codec::None, 0),
            (1024, Codec::Zstd, 3),
            (999_999, Codec::Zstd, 3),
            (1_000_000, Codec::Zstd, 9),
        ];
        for (size, expected, level) in cases {
            assert_eq!(codec(&profile("other", size, None)), (expected, level), "{size}");
        }
        let mut real_time = profile("dictionary", 100, None);
        real_time.flags.push("real_time".into());
        assert_eq!(codec(&real_time).0, Codec::Lz4);
        let mut noise = profile("literature", 100_000, None);
        noise.entropy_bits_per_byte = 7.9;
        assert_eq!(codec(&noise).0, Codec::None);
    }

    #[test]
    fn thresholds_are_set_by_the_config() {
        let schema = ByTypeAndSize::describe().config_schema;
        floret_sdk::config::assert_defaults_agree::<Config>(&schema);
        let config: Config = floret_sdk::config::parse(r#"{"small_bytes": 10, "level": 1, "never": []}"#)
            .expect("it is valid");
        let choice =
            ByTypeAndSize::choose(&profile("dictionary", 11, None), &config).expect("it is consistent");
        assert_eq!((choice.codec, choice.level, choice.delta), (Codec::Zstd, 1, false));
        let config: Config = floret_sdk::config::parse(r#"{"small_bytes": 2000000}"#).expect("it is valid");
        assert!(matches!(
            ByTypeAndSize::choose(&profile("other", 1, None), &config),
            Err(Error::InvalidConfig(_))
        ));
    }
}

//! For what is kept long and read seldom: the strongest ratio, whatever the type.

use floret_sdk::policy::{Choice, Codec, CompressionPolicy, Profile};
use floret_sdk::{Description, Error};
use serde::Deserialize;

/// The thresholds; what they mean stands in `schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    level: i32,
    small_bytes: u64,
    entropy_max: f32,
}

impl Default for Config {
    fn default() -> Self {
        // 128 bytes: below that a frame's header and checksum eat most of what zstd saves.
        Self { level: 19, small_bytes: 128, entropy_max: 7.95 }
    }
}

/// The component.
pub struct Strongest;

impl CompressionPolicy for Strongest {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "policy-archive".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Compresses everything as far as zstd goes, and tries differences first".into(),
            output_media_type: String::new(),
            config_schema: include_str!("schema.json").into(),
        }
    }

    fn choose(profile: &Profile, config: &Config) -> Result<Choice, Error> {
        let plain = |reason| Choice { codec: Codec::None, level: 0, delta: false, reason };
        Ok(if profile.size_bytes < config.small_bytes {
            plain(format!("under {} bytes", config.small_bytes))
        } else if profile.entropy_bits_per_byte > config.entropy_max {
            plain(format!("entropy over {} bits a byte", config.entropy_max))
        } else {
            Choice { codec: Codec::Zstd, level: config.level, delta: true, reason: "strongest ratio".into() }
        })
    }
}

floret_sdk::export_policy!(Strongest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compresses_all_but_tiny_and_random() {
        floret_sdk::config::assert_defaults_agree::<Config>(&Strongest::describe().config_schema);
        let choose = |size_bytes, entropy_bits_per_byte| {
            let profile = Profile {
                size_bytes,
                namespace: "n".into(),
                resource_type: "dictionary".into(),
                media_type: "text/plain".into(),
                items: None,
                flags: vec!["real_time".into()],
                entropy_bits_per_byte,
            };
            let choice = Strongest::choose(&profile, &Config::default()).expect("it always decides");
            (choice.codec, choice.level, choice.delta)
        };
        assert_eq!(choose(127, 4.0), (Codec::None, 0, false));
        assert_eq!(choose(128, 4.0), (Codec::Zstd, 19, true));
        assert_eq!(choose(1 << 20, 7.99), (Codec::None, 0, false));
    }
}

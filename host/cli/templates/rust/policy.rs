//! {{name}}: compression by size and entropy.

wit_bindgen::generate!({ path: "wit", generate_all });

use exports::floret::policy::compression::{Choice, Codec, Description, Error, Guest, Profile};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

struct Component;

impl Guest for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Compression by size and entropy".to_owned(),
            output_media_type: String::new(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
        }
    }

    fn choose(profile: Profile, _config: String) -> Result<Choice, Error> {
        Ok(decide(&profile))
    }

    fn choose_many(profiles: Vec<Profile>, _config: String) -> Result<Vec<Choice>, Error> {
        Ok(profiles.iter().map(decide).collect())
    }
}

export!(Component);

fn decide(profile: &Profile) -> Choice {
    let (codec, level, reason) = if profile.size_bytes < KIB {
        (Codec::None, 0, "under 1 KiB")
    } else if profile.entropy_bits_per_byte > 7.5 {
        (Codec::None, 0, "over 7.5 bits a byte")
    } else if profile.flags.iter().any(|flag| flag == "real_time") {
        (Codec::Lz4, 0, "real_time")
    } else if profile.size_bytes < MIB {
        (Codec::Zstd, 3, "under 1 MiB")
    } else {
        (Codec::Zstd, 12, "1 MiB or more")
    };
    Choice {
        codec,
        level,
        delta: false,
        reason: reason.to_owned(),
    }
}

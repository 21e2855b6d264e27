//! A guest that asks WASI for everything that a plugin must not be told, and reports the answers: as the bytes of
//! an index when it builds, and as hits when it searches. So what both engines and a searcher give away can be read.

use floret_sdk::index::{Hit, IndexBuilder, Mode, Query, Searcher};
use floret_sdk::{Description, Error, Input, Output, Statistic, StatisticValue, config};
use serde::Deserialize;

mod ask;
#[allow(
    missing_docs,
    clippy::all,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    reason = "generated code keeps its own style"
)]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "probe", generate_all });
}

/// The component.
pub struct Probe;

/// What to do; the schema is beside the description.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What to do.
    pub deed: Deed,
    /// Changes nothing but the configuration.
    pub salt: String,
}

/// What to do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Ask everything, and report.
    #[default]
    Ask,
    /// Print to both streams, then trap.
    Print,
    /// Print without end.
    Flood,
    /// Leave, as if all were well.
    Exit,
    /// Ask for a time zone.
    TimeZone,
    /// Ask for 16 EiB of random bytes.
    RandomFlood,
    /// Write more at once than the stream permits.
    WriteTooMuch,
    /// Take handles without end.
    Handles,
}

const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"properties":{
    "deed":{"enum":["ask","print","flood","exit","time-zone","random-flood","write-too-much","handles"]},
    "salt":{"type":"string"}}}"#;

impl IndexBuilder for Probe {
    type Searcher = Opened;

    fn describe() -> Description {
        Description {
            name: "wasi-probe".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: format!("Asks WASI for everything; its first draw is {}", ask::draw()),
            output_media_type: "text/vnd.floret.wasi-probe; version=1".into(),
            config_schema: SCHEMA.into(),
        }
    }

    fn modes() -> Vec<Mode> {
        vec![Mode::Exact]
    }

    fn build(_: &[Input], config: &str, out: &mut Output) -> Result<Vec<Statistic>, Error> {
        ask::commit(config::parse::<Config>(config)?.deed);
        let answers = ask::everything();
        out.write(answers.join("\n").as_bytes());
        Ok(vec![Statistic { name: "answers".into(), value: StatisticValue::Count(answers.len() as u64) }])
    }
}

/// An opened index: what was answered while it was opened.
pub struct Opened(String);

impl Searcher for Opened {
    fn open(_: &Input) -> Result<Self, Error> {
        Ok(Self(ask::everything().join(" ")))
    }

    fn search(&self, query: &Query, _: u32) -> Result<Vec<Hit>, Error> {
        let Query::Exact(text) = query else {
            return Err(Error::Unsupported("only exact".into()));
        };
        let word = if text == "opened" { self.0.clone() } else { ask::everything().join(" ") };
        Ok(vec![Hit { word, frequency: 1, distance: 0, score: 1.0 }])
    }
}

floret_sdk::export_index!(Probe);

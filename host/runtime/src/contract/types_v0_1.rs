//! `floret:types@0.1.0`: what every contract shares. Generated bindings and the host side of `log`.

pub use wasmtime::component::Resource as Handle;

use crate::contract::{Said, StatisticValue};
use crate::guest_log::LogLevel;
use crate::instance::Job;

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT files carry the documentation")]
    #![allow(
        unused_qualifications,
        dead_code,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    wasmtime::component::bindgen!({
        path: ["../../wit/types"],
        inline: "package floret:host; world imports {
            import floret:types/types@0.1.0;
            import floret:types/io@0.1.0;
            import floret:types/log@0.1.0;
        }",
        world: "floret:host/imports",
        imports: { default: trappable },
        with: {
            "floret:types/io.input": crate::input::Input,
            "floret:types/io.sink": crate::sink::Sink,
        },
    });
}
pub mod io {
    pub use super::Handle;
    pub use super::bindings::floret::types::io::*;
}
pub use bindings::floret::types::{log, types};

impl types::Host for Job {}
impl io::Host for Job {}

impl log::Host for Job {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Error => LogLevel::Error,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Info => LogLevel::Info,
            log::Level::Debug => LogLevel::Debug,
        };
        self.log_line(level, &message);
        Ok(())
    }
}

impl From<types::Error> for Said {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::InvalidInput(text) => Self::InvalidInput(text),
            types::Error::InvalidConfig(text) => Self::InvalidConfig(text),
            types::Error::Unsupported(text) => Self::Unsupported(text),
            types::Error::Failed(text) => Self::Failed(text),
        }
    }
}

impl From<types::StatisticValue> for StatisticValue {
    fn from(value: types::StatisticValue) -> Self {
        match value {
            types::StatisticValue::Count(count) => Self::Count(count),
            types::StatisticValue::Real(real) => Self::Real(real),
            types::StatisticValue::Flag(flag) => Self::Flag(flag),
            types::StatisticValue::Text(text) => Self::Text(text),
        }
    }
}

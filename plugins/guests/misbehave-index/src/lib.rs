//! An index builder that does what a component must not, as its configuration asks. The index is the mode's
//! name, so that opening and searching it misbehave too.

use floret_sdk::index::{Hit, IndexBuilder, Mode as SearchMode, Query, Searcher};
use floret_sdk::{Description, Error, Input, Output, Statistic, StatisticValue, config};
use guest_deeds::{Config, Mode, allocate, commit, endless, trap};

/// The component.
pub struct Misbehave;

/// What it answers with.
pub struct Misbehaving(Mode);

impl IndexBuilder for Misbehave {
    type Searcher = Misbehaving;

    fn describe() -> Description {
        Description {
            name: "misbehave-index".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Does what an index must not, as its configuration asks".into(),
            output_media_type: "application/vnd.floret.misbehave; version=1".into(),
            config_schema: guest_deeds::SCHEMA.into(),
        }
    }

    fn modes() -> Vec<SearchMode> {
        vec![SearchMode::Exact]
    }

    fn build(_: &[Input], config: &str, out: &mut Output) -> Result<Vec<Statistic>, Error> {
        let mode = config::parse::<Config>(config)?.mode;
        commit(mode, out)?;
        let index = match mode {
            Mode::Nothing => "",
            Mode::BadIndex => "garbage",
            Mode::OpenLoop => "open-loop",
            Mode::OpenTrap => "open-trap",
            Mode::SearchLoop => "search-loop",
            Mode::SearchTrap => "search-trap",
            Mode::SearchTooMany => "search-too-many",
            Mode::SearchNan => "search-nan",
            Mode::SearchAllocate => "search-allocate",
            _ => "ok",
        };
        out.write(index.as_bytes());
        let mut statistics = vec![Statistic { name: "word_count".into(), value: StatisticValue::Count(1) }];
        if mode == Mode::WrongStatistics {
            statistics.push(Statistic { name: "word_count".into(), value: StatisticValue::Real(f64::NAN) });
        }
        Ok(statistics)
    }
}

impl Searcher for Misbehaving {
    fn open(index: &Input) -> Result<Self, Error> {
        let name = index.read_to_string(0)?;
        match Mode::named(&name) {
            Some(Mode::OpenLoop) => endless(),
            Some(Mode::OpenTrap) => trap(),
            Some(mode) => Ok(Self(mode)),
            None => Err(Error::InvalidInput(format!(
                "index 0 is not one: {} bytes that name no mode",
                name.len()
            ))),
        }
    }

    fn search(&self, query: &Query, limit: u32) -> Result<Vec<Hit>, Error> {
        let Query::Exact(word) = query else {
            return Err(Error::Unsupported("only exact".into()));
        };
        let score = if self.0 == Mode::SearchNan { f32::NAN } else { 1.0 };
        let hit = Hit { word: word.clone(), frequency: 1, distance: 0, score };
        match self.0 {
            Mode::SearchLoop => endless(),
            Mode::SearchTrap => trap(),
            Mode::SearchAllocate => allocate(),
            Mode::SearchTooMany => Ok(vec![hit; limit as usize + 1]),
            _ => Ok(vec![hit]),
        }
    }
}

floret_sdk::export_index!(Misbehave);

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
            Mode::Parts | Mode::PartsDiffer => "0/4 1/4 2/4 3/4 ",
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
        let mut statistics = vec![words(1)];
        if mode == Mode::WrongStatistics {
            statistics.push(Statistic { name: "word_count".into(), value: StatisticValue::Real(f64::NAN) });
        }
        Ok(statistics)
    }

    fn parts(_: &[Input], config: &str) -> Result<u32, Error> {
        Ok(match config::parse::<Config>(config)?.mode {
            Mode::PartsNone => 0,
            Mode::PartsMany => 5_000,
            Mode::Parts | Mode::PartsDiffer | Mode::PartTrap | Mode::PartInvalidInput => 4,
            Mode::PartLoop | Mode::PartWrite | Mode::PartLarge | Mode::MergeTrap => 4,
            _ => 1,
        })
    }

    fn build_part(_: &[Input], config: &str, part: u32, parts: u32, out: &mut Output) -> Result<(), Error> {
        match config::parse::<Config>(config)?.mode {
            Mode::PartTrap if part == 1 => trap(),
            Mode::PartInvalidInput if part == 1 => {
                return Err(Error::InvalidInput("corpus 0 is refused as asked".into()));
            }
            Mode::PartTrap | Mode::PartInvalidInput | Mode::PartLoop => endless(),
            Mode::PartWrite => commit(Mode::Write, out)?,
            Mode::PartLarge => (0..48).for_each(|_| out.write(&[b'x'; 1 << 16])),
            Mode::PartsDiffer => out.write(b"something else "),
            _ => out.write(format!("{part}/{parts} ").as_bytes()),
        }
        Ok(())
    }

    fn merge_parts(
        parts: &[Input],
        corpora: &[Input],
        config: &str,
        out: &mut Output,
    ) -> Result<Vec<Statistic>, Error> {
        if config::parse::<Config>(config)?.mode == Mode::MergeTrap {
            trap();
        }
        for (at, part) in parts.iter().enumerate() {
            out.write(part.read_to_string(at)?.as_bytes());
        }
        Ok(vec![words(corpora.len() as u64)])
    }
}

fn words(count: u64) -> Statistic {
    Statistic { name: "word_count".into(), value: StatisticValue::Count(count) }
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

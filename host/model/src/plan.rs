use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, ResourceKey, TimestampMs, VersionRef};

/// What a cascade would do, in an order in which every step follows those it needs.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The resources that changed.
    pub roots: Vec<ResourceKey>,
    /// Everything that depends on them, once each.
    pub steps: Vec<PlannedStep>,
}

/// One step of a plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// What would be built.
    pub key: ResourceKey,
    /// Indexes of the steps that it waits for.
    pub after: Vec<usize>,
    /// Why it is in the plan.
    pub reason: StepReason,
}

/// Why a resource is looked at.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum StepReason {
    /// It was asked for by name.
    Requested,
    /// Something that it is made from changed, or may change earlier in this cascade.
    InputChanged {
        /// What: direct dependencies only, sorted.
        inputs: Vec<ResourceKey>,
    },
}

/// What became of a step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// Its component ran.
    Built {
        /// Whether the output differs from the version before.
        changed: bool,
    },
    /// The same build was remembered.
    MemoHit {
        /// Whether the output differs from the version before.
        changed: bool,
    },
    /// Nothing that it is made from really changed, so it was not looked at further.
    CutOff,
    /// Its component, or the store, failed.
    Failed {
        /// The whole message.
        error: String,
    },
    /// A step that it needs failed, or the cascade was stopped.
    Skipped {
        /// Why.
        reason: String,
    },
}

impl Fate {
    /// The fate's name, as JSON has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Built { .. } => "built",
            Self::MemoHit { .. } => "memo_hit",
            Self::CutOff => "cut_off",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// Where the time of a step went, in milliseconds of the wall clock. What ran at the same time adds up, as the merges of a
/// corpus do; what is in none of these waited for others, or asked the catalog.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StepPhases {
    /// Resolving its inputs and reading them.
    pub load_ms: f64,
    /// Reading its component and compiling it, or taking it from the compiled code on disk; 0 where it was loaded already.
    pub compile_ms: f64,
    /// Running its component, with the wait for a builder's turn.
    pub build_ms: f64,
    /// Storing what came out of it.
    pub store_ms: f64,
}

/// One step of a cascade that ran.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    /// Which resource.
    pub key: ResourceKey,
    /// Whether it depends on a root itself, or on another step.
    pub direct: bool,
    /// Why it was looked at.
    pub reason: StepReason,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
    /// The version that was published, if one was.
    pub version: Option<VersionRef>,
    /// The build's name, where one was computed.
    pub recipe: Option<Digest>,
    /// Wall time of the step, in milliseconds.
    pub elapsed_ms: f64,
    /// Bytes of its output.
    pub output_bytes: u64,
    /// Where its time went; all 0 in reports of older programs.
    #[serde(default)]
    pub phases: StepPhases,
    /// Lines that its component logged, within the limit of its log; 0 in reports of older programs.
    #[serde(default)]
    pub log_lines: u64,
}

/// A cascade that ran: everything of it was published at once, or nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CascadeReport {
    /// Names the cascade.
    pub id: String,
    /// When it began.
    pub started_at: TimestampMs,
    /// Wall time, in milliseconds.
    pub elapsed_ms: f64,
    /// The resources that changed.
    pub roots: Vec<ResourceKey>,
    /// Whether its versions are visible.
    pub published: bool,
    /// Every step, in the plan's order.
    pub steps: Vec<StepReport>,
}

impl CascadeReport {
    /// How many steps had the fate of this name.
    pub fn count(&self, fate: &str) -> usize {
        self.steps.iter().filter(|step| step.fate.name() == fate).count()
    }

    /// Steps that depend on a root itself (`true`), or only on other steps (`false`).
    pub fn steps_of(&self, direct: bool) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(move |step| step.direct == direct)
    }
}

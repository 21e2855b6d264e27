//! What is counted and timed, for whoever installs a recorder of the crate `metrics`: `docs/metrics.md` has them all. Without
//! one a call costs tens of nanoseconds; with one, some 200 for a name with labels that are found at run time. Nothing of
//! this is on the way of a read that memory answers.

use std::time::Duration;

use floret_model::{CascadeReport, StepPhases, StepReport};
use floret_runtime::{ContractKind, Error as Runtime};
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use crate::kind::classify_runtime;
use crate::{Error, Saved};

const SAVES: &str = "floret_saves_total";
const SAVE_SECONDS: &str = "floret_save_duration_seconds";
const CASCADES: &str = "floret_cascades_total";
const CASCADE_SECONDS: &str = "floret_cascade_duration_seconds";
const STEPS: &str = "floret_cascade_steps_total";
const PHASE_SECONDS: &str = "floret_step_phase_seconds";
const CALLS: &str = "floret_plugin_calls_total";
const CALL_SECONDS: &str = "floret_plugin_call_duration_seconds";

/// Describe the metrics of this crate to the recorder that is installed.
pub fn describe_metrics() {
    describe_counter!(SAVES, Unit::Count, "Versions that were to be saved, alone or in batches");
    describe_histogram!(SAVE_SECONDS, Unit::Seconds, "Time of a save, or of a batch as a whole");
    describe_counter!(CASCADES, Unit::Count, "Cascades and other changes");
    describe_histogram!(
        CASCADE_SECONDS,
        Unit::Seconds,
        "Time of a cascade or another change, its publish included"
    );
    describe_counter!(STEPS, Unit::Count, "Steps of cascades by what became of them");
    describe_histogram!(
        PHASE_SECONDS,
        Unit::Seconds,
        "Where the time of steps went that ran their component"
    );
    describe_counter!(CALLS, Unit::Count, "Calls of bound components by how they ended");
    describe_histogram!(
        CALL_SECONDS,
        Unit::Seconds,
        "Time of calls of bound components, with the wait for a turn"
    );
}

/// A version was to be saved, or several in a batch.
pub(crate) fn saved<'a>(ended: Result<impl Iterator<Item = &'a Saved>, u64>, took: Duration) {
    match ended {
        Ok(saved) => {
            let (new, unchanged) = saved.fold((0, 0), |(new, unchanged), saved| match saved.is_new {
                true => (new + 1, unchanged),
                false => (new, unchanged + 1),
            });
            for (outcome, count) in [("new", new), ("unchanged", unchanged)] {
                if count > 0 {
                    counter!(SAVES, "outcome" => outcome).increment(count);
                }
            }
        }
        Err(count) => counter!(SAVES, "outcome" => "failed").increment(count),
    }
    histogram!(SAVE_SECONDS).record(took);
}

/// A cascade or another change ended.
pub(crate) fn changed(ended: &Result<CascadeReport, Error>, took: Duration) {
    let outcome = match ended {
        Ok(_) => "published",
        Err(Error::Interrupted) => "interrupted",
        Err(_) => "failed",
    };
    counter!(CASCADES, "outcome" => outcome).increment(1);
    histogram!(CASCADE_SECONDS, "outcome" => outcome).record(took);
}

/// These steps ended.
pub(crate) fn stepped(steps: &[StepReport]) {
    for step in steps {
        counter!(STEPS, "outcome" => step.fate.name()).increment(1);
        let StepPhases { load_ms, compile_ms, build_ms, store_ms } = step.phases;
        if build_ms > 0.0 {
            for (phase, ms) in
                [("load", load_ms), ("compile", compile_ms), ("build", build_ms), ("store", store_ms)]
            {
                histogram!(PHASE_SECONDS, "phase" => phase).record(ms / 1e3);
            }
        }
    }
}

/// A component was called.
pub(crate) fn called<T>(kind: ContractKind, ended: &Result<T, Runtime>, took: Duration) {
    let outcome = ended.as_ref().map_or_else(|error| classify_runtime(error).code, |_| "ok");
    counter!(CALLS, "contract" => contract(kind), "outcome" => outcome).increment(1);
    histogram!(CALL_SECONDS, "contract" => contract(kind)).record(took);
}

/// A component was not called, because its breaker is open.
pub(crate) fn refused(kind: ContractKind) {
    counter!(CALLS, "contract" => contract(kind), "outcome" => "plugin_breaker_open").increment(1);
}

fn contract(kind: ContractKind) -> &'static str {
    match kind {
        ContractKind::Corpus => "corpus",
        ContractKind::Index => "index",
        ContractKind::Policy => "policy",
        ContractKind::Retention => "retention",
    }
}

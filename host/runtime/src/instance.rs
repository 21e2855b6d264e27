use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};

use crate::error::Site;
use crate::guest_log::{LogLevel, LogListener};
use crate::input::Input;
use crate::limits::{LimitKind, Limits};
use crate::sink::Written;
use crate::wasi::World;

/// Longest log line kept.
pub(crate) const LOG_LINE_BYTES_MAX: usize = 4 << 10;

/// Log lines kept for an error.
const LOG_LINES_KEPT: usize = 8;

/// Why the host stopped a guest. Travels through the engine as the cause of its error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    Limit { which: LimitKind, limit: u64 },
    OutOfHostMemory,
    InputUnreadable(std::io::ErrorKind),
    Cancelled,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { which, limit } => write!(f, "limit {which} = {limit}"),
            Self::OutOfHostMemory => f.write_str("the host has no more memory to give"),
            Self::InputUnreadable(kind) => write!(f, "the host could not read an input: {kind}"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Stop {}

/// Set when nobody waits for the call any more.
#[derive(Clone, Default)]
pub(crate) struct Cancelled(Arc<AtomicBool>);

/// Cancels when dropped: kept by the future that waits for a call on another thread.
pub(crate) struct CancelOnDrop(pub(crate) Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// When a call must be over.
#[derive(Clone)]
pub(crate) struct Deadline {
    at: Instant,
    timeout: Duration,
    which: LimitKind,
    /// Absent where the caller cannot go away: on its own thread.
    cancelled: Option<Cancelled>,
}

impl Deadline {
    pub(crate) fn after(timeout: Duration, which: LimitKind, cancelled: Option<Cancelled>) -> Self {
        let now = Instant::now();
        // A sum beyond what the clock can tell is a century away or more.
        let at = now.checked_add(timeout).unwrap_or(now + Duration::from_secs(1 << 31));
        Self { at, timeout, which, cancelled }
    }

    fn check(&self) -> Result<(), Stop> {
        let cancelled = |cancelled: &Cancelled| cancelled.0.load(Ordering::Relaxed);
        if self.cancelled.as_ref().is_some_and(cancelled) {
            return Err(Stop::Cancelled);
        }
        if Instant::now() < self.at {
            return Ok(());
        }
        Err(Stop::Limit {
            which: self.which,
            limit: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// What the store of one job holds: its inputs, what it wrote, what it logged and what it may use.
pub(crate) struct Job {
    site: Arc<Site>,
    inputs: Vec<Option<Input>>,
    pub(crate) written: Written,
    pub(crate) wasi: World,
    room: Room,
    deadline: Deadline,
    log: Log,
}

#[derive(Default)]
struct Log {
    bytes_max: u64,
    bytes: u64,
    bytes_dropped: u64,
    kept: VecDeque<String>,
    panic: Option<String>,
    listener: Option<LogListener>,
}

impl Job {
    pub(crate) fn new(site: Arc<Site>, inputs: Vec<Input>, limits: &Limits, deadline: Deadline) -> Self {
        Self {
            site,
            inputs: inputs.into_iter().map(Some).collect(),
            written: Written::bounded(limits.output_bytes_max),
            wasi: World::default(),
            room: Room::new(limits),
            deadline,
            log: Log { bytes_max: limits.log_bytes_max, ..Log::default() },
        }
    }

    /// With what a guest that was built for WASI finds.
    pub(crate) fn in_world(self, wasi: World) -> Self {
        Self { wasi, ..self }
    }

    /// With somebody who hears what it logs.
    pub(crate) fn heard_by(mut self, listener: Option<LogListener>) -> Self {
        self.log.listener = listener;
        self
    }

    pub(crate) fn input(&self, place: u32) -> wasmtime::Result<&Input> {
        let input = self.inputs.get(place as usize).and_then(Option::as_ref);
        input.ok_or_else(|| wasmtime::format_err!("the input {place} was dropped"))
    }

    pub(crate) fn drop_input(&mut self, place: u32) {
        if let Some(input) = self.inputs.get_mut(place as usize) {
            *input = None;
        }
    }

    /// Owned handles of all inputs, in order.
    pub(crate) fn input_handles(&self) -> Vec<Resource<Input>> {
        (0..self.inputs.len() as u32).map(Resource::new_own).collect()
    }

    /// Everything written so far.
    pub(crate) fn take_output(&mut self) -> Bytes {
        std::mem::take(&mut self.written).into_bytes()
    }

    /// Bytes of linear memory that the guest has.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.room.memory_bytes
    }

    /// Pass a line on to the people who run the host, bounded.
    pub(crate) fn log_line(&mut self, level: LogLevel, message: &str) {
        let line = cut(message, LOG_LINE_BYTES_MAX);
        let log = &mut self.log;
        if level == LogLevel::Error && line.starts_with("panicked at") {
            log.panic = Some(line.to_owned());
        }
        let cost = line.len() as u64 + 1;
        if log.bytes + cost > log.bytes_max {
            log.bytes_dropped += message.len() as u64;
            return;
        }
        log.bytes += cost;
        log.bytes_dropped += (message.len() - line.len()) as u64;
        if log.kept.len() == LOG_LINES_KEPT {
            log.kept.pop_front();
        }
        log.kept.push_back(line.to_owned());
        if let Some(listener) = &log.listener {
            listener(&self.site, level, line);
        }
        let Site { component, stage, .. } = &*self.site;
        let contract = self.site.contract.as_ref().map(tracing::field::display);
        macro_rules! emit {
            ($level:ident) => {
                tracing::event!(
                    target: "floret::guest", tracing::Level::$level,
                    component, contract, stage = &**stage, "{line}"
                )
            };
        }
        match level {
            LogLevel::Error => emit!(ERROR),
            LogLevel::Warn => emit!(WARN),
            LogLevel::Info => emit!(INFO),
            LogLevel::Debug => emit!(DEBUG),
        }
    }

    /// The panic's text, the last lines, and how many bytes were dropped; the log starts anew.
    pub(crate) fn take_log(&mut self) -> (Option<String>, Vec<String>, u64) {
        self.end_lines();
        let log = &mut self.log;
        let dropped = std::mem::take(&mut log.bytes_dropped);
        log.bytes = 0;
        if dropped > 0 {
            let component = &self.site.component;
            tracing::warn!(target: "floret::guest", component, dropped, "log text beyond the limit was dropped");
        }
        (log.panic.take(), log.kept.drain(..).collect(), dropped)
    }
}

/// The longest beginning of `text` within `bytes_max` that ends between characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// What a store may hold: a job, or something with a job in it.
pub(crate) trait HoldsJob: 'static {
    fn job(&self) -> &Job;
    fn job_mut(&mut self) -> &mut Job;
}

impl HoldsJob for Job {
    fn job(&self) -> &Job {
        self
    }

    fn job_mut(&mut self) -> &mut Job {
        self
    }
}

/// A store for a job, with its limits and its deadline in place.
pub(crate) fn store<D: HoldsJob>(engine: &Engine, limits: &Limits, data: D) -> Store<D> {
    let mut store = Store::new(engine, data);
    store.limiter(|data| &mut data.job_mut().room);
    store.set_hostcall_fuel(usize::try_from(limits.call_bytes_max).unwrap_or(usize::MAX));
    // Every input is a handle; what lies above is for the guest's own resources.
    let handles_max = limits.inputs_max.saturating_add(4_096);
    store.set_max_component_handles(usize::try_from(handles_max).unwrap_or(usize::MAX));
    store.epoch_deadline_callback(|context| {
        context.data().job().deadline.check()?;
        Ok(UpdateDeadline::Continue(1))
    });
    store.set_epoch_deadline(1);
    store
}

/// Give an existing store a new deadline, a new log and its randomness from the beginning.
pub(crate) fn renew(store: &mut Store<Job>, site: Arc<Site>, deadline: Deadline) {
    let job = store.data_mut();
    job.site = site;
    job.deadline = deadline;
    job.take_log();
    job.wasi.restart();
    store.set_epoch_deadline(1);
}

/// Counts what a guest uses of memory and tables, over all memories of the job. Growing beyond the limit stops
/// the guest rather than telling it, so that the limit cannot change a result.
struct Room {
    memory_bytes: u64,
    memory_bytes_max: u64,
    table_elements_max: u64,
    core_instances_max: usize,
}

impl Room {
    fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes_max,
            table_elements_max: limits.table_elements_max,
            core_instances_max: usize::try_from(limits.core_instances_max).unwrap_or(usize::MAX),
        }
    }

    fn memory_stop(&self) -> Stop {
        Stop::Limit { which: LimitKind::Memory, limit: self.memory_bytes_max }
    }
}

impl ResourceLimiter for Room {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false); // the guest's own bound: it is told, everywhere alike
        }
        let wanted = self.memory_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if wanted > self.memory_bytes_max {
            return Err(self.memory_stop().into());
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // The system refused, or the guest asked for more than its kind of memory can have.
        Err(if error.is::<std::io::Error>() {
            Stop::OutOfHostMemory.into()
        } else {
            self.memory_stop().into()
        })
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if desired as u64 > self.table_elements_max {
            return Err(
                Stop::Limit { which: LimitKind::TableElements, limit: self.table_elements_max }.into()
            );
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.core_instances_max
    }

    fn tables(&self) -> usize {
        self.core_instances_max
    }

    fn memories(&self) -> usize {
        self.core_instances_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(log_bytes_max: u64) -> Job {
        let site = Site { component: "x@0.1.0".into(), contract: None, stage: "build".into() };
        let limits = Limits { log_bytes_max, ..Limits::default() };
        let deadline = Deadline::after(Duration::MAX, LimitKind::CallTime, None);
        Job::new(Arc::new(site), Vec::new(), &limits, deadline)
    }

    #[test]
    fn log_text_beyond_the_bound_is_dropped_and_counted() {
        let mut job = job(100);
        (0..10).for_each(|line| job.log_line(LogLevel::Info, &format!("line {line} {}", "x".repeat(12))));
        // Twenty bytes each with its end: five fit.
        let (panic, kept, dropped) = job.take_log();
        assert_eq!((panic, kept.len(), dropped), (None, 5, 5 * 19));
        job.log_line(LogLevel::Info, "the next call logs anew");
        assert_eq!(job.take_log().1, ["the next call logs anew"]);
    }

    #[test]
    fn long_lines_are_cut_between_characters_and_the_last_ones_are_kept() {
        let mut job = job(1 << 20);
        job.log_line(LogLevel::Info, &"é".repeat(3_000));
        let (_, kept, dropped) = job.take_log();
        assert_eq!((kept[0].len(), dropped), (4_096, 6_000 - 4_096));
        (0..20).for_each(|line| job.log_line(LogLevel::Debug, &line.to_string()));
        assert_eq!(job.take_log().1, ["12", "13", "14", "15", "16", "17", "18", "19"]);
    }

    #[test]
    fn a_panic_is_kept_even_after_a_flood() {
        let mut job = job(10);
        job.log_line(LogLevel::Info, "123456789");
        job.log_line(LogLevel::Error, "panicked at src/lib.rs:1:1: boom");
        let (panic, kept, _) = job.take_log();
        assert_eq!(panic.as_deref(), Some("panicked at src/lib.rs:1:1: boom"));
        assert_eq!(kept, ["123456789"]);
    }

    #[test]
    fn a_deadline_is_checked_and_a_cancelled_call_is_stopped() {
        let past = Deadline::after(Duration::ZERO, LimitKind::QueryTime, None);
        assert_eq!(past.check(), Err(Stop::Limit { which: LimitKind::QueryTime, limit: 0 }));
        let cancelled = Cancelled::default();
        let far = Deadline::after(Duration::MAX, LimitKind::CallTime, Some(cancelled.clone()));
        assert_eq!(far.check(), Ok(()));
        drop(CancelOnDrop(cancelled));
        assert_eq!(far.check(), Err(Stop::Cancelled));
    }
}

use std::fmt;
use std::time::Duration;

/// Every bound on what a component may use, in one place.
///
/// A limit that is reached stops the call with [`Error::Limit`](crate::Error::Limit) and never changes a
/// result, so that machines with different limits still agree on what they build. Only
/// [`memory_bytes_max`](Self::memory_bytes_max) is part of the profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest time a builder may take, by the wall clock, instantiation included. Default 10 minutes: text is
    /// counted at about 80 MB/s, so that is about 50 GB, far beyond the other limits.
    pub call_timeout: Duration,
    /// Longest time of one search, one opening of an index, one policy decision or one `describe`. Default
    /// 10 seconds: opening an index of 100 MB takes 0.1 s, a fuzzy search some milliseconds.
    pub query_timeout: Duration,
    /// Longest time that a call may stay on a thread of the async runtime, once its kind has proven to take
    /// less than 50 µs. Default 10 ms: a call that takes longer is stopped and repeated on a thread that may
    /// block. Two hundred times the usual, so that a thread put aside by the system is rarely taken for slow.
    pub inline_timeout: Duration,
    /// Longest time of compiling one component for one engine. Default 5 minutes: 18 MB take 38 s.
    pub compile_timeout: Duration,
    /// Bytes of linear memory of one job, all its memories together. Default 1 GiB: a builder holds its input
    /// (≤ 256 MB of text or so) about three times over. Builders at once × this bounds the host: on two
    /// processors `instances_max` 3 × 1 GiB = 3 GiB.
    pub memory_bytes_max: u64,
    /// Elements of one table. Default 100,000 at 8 bytes: 800 kB; a Python guest has about 12,000.
    pub table_elements_max: u64,
    /// Core instances, tables and memories of one job, each. Default 64: a component with adapters has 5.
    pub core_instances_max: u64,
    /// Bytes of stack that WebAssembly code may use. Default 512 KiB, at most 1 MiB: threads of the async
    /// runtime have 2 MiB, and half of it stays with the host.
    pub stack_bytes_max: u64,
    /// Bytes that a builder may write, and that all parts of one build may be together. Default 1 GiB.
    pub output_bytes_max: u64,
    /// Bytes that one call may hand from the guest to the host: a `write`, a log line, an answer. Default
    /// 128 MiB; the largest honest answer is 10,000 hits × about 1 KiB = 10 MiB, but some guests write all
    /// they have in one piece.
    pub call_bytes_max: u64,
    /// Bytes of log text kept of one call; the rest is dropped and counted. Default 256 KiB: 64 full lines.
    pub log_bytes_max: u64,
    /// Bytes of a component's file. Default 64 MiB: a Python guest has 18 MB.
    pub component_bytes_max: u64,
    /// Bytes of compiled code kept on disk; beyond it the oldest goes. Default 1 GiB: code is about four times
    /// the component, so that is a hundred versions of a 2.5 MB component.
    pub compiled_bytes_max: u64,
    /// Inputs of one job. Default 65,536; each is a handle and an entry of a list (4 bytes) in the guest.
    pub inputs_max: u64,
    /// Builders at once, and of one component all but one, at least 1: so one that loops leaves a turn to others. Default:
    /// the processors and one more, since a builder keeps one busy, and one component may use them all.
    pub instances_max: usize,
    /// Instances that one opened index may have, each with its own copy of the index. Default: the
    /// processors.
    pub searchers_max: usize,
    /// Searches and policy decisions at once that left the async runtime's threads, over all indexes, and of one
    /// component all but one. Default 64: threads that wait for a processor.
    pub queries_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            call_timeout: Duration::from_secs(600),
            query_timeout: Duration::from_secs(10),
            inline_timeout: Duration::from_millis(10),
            compile_timeout: Duration::from_secs(300),
            memory_bytes_max: 1 << 30,
            table_elements_max: 100_000,
            core_instances_max: 64,
            stack_bytes_max: 512 << 10,
            output_bytes_max: 1 << 30,
            call_bytes_max: 128 << 20,
            log_bytes_max: 256 << 10,
            component_bytes_max: 64 << 20,
            compiled_bytes_max: 1 << 30,
            inputs_max: 65_536,
            instances_max: processors + 1,
            searchers_max: processors,
            queries_max: 64,
        }
    }
}

impl Limits {
    /// What is wrong with them, if anything: a zero, or a stack beyond 1 MiB.
    pub(crate) fn fault(&self) -> Option<String> {
        let amounts = [
            ("call_timeout", self.call_timeout.as_nanos() as u64),
            ("query_timeout", self.query_timeout.as_nanos() as u64),
            ("inline_timeout", self.inline_timeout.as_nanos() as u64),
            ("compile_timeout", self.compile_timeout.as_nanos() as u64),
            ("memory_bytes_max", self.memory_bytes_max),
            ("table_elements_max", self.table_elements_max),
            ("core_instances_max", self.core_instances_max),
            ("output_bytes_max", self.output_bytes_max),
            ("call_bytes_max", self.call_bytes_max),
            ("component_bytes_max", self.component_bytes_max),
            ("compiled_bytes_max", self.compiled_bytes_max),
            ("inputs_max", self.inputs_max),
            ("instances_max", self.instances_max as u64),
            ("searchers_max", self.searchers_max as u64),
            ("queries_max", self.queries_max as u64),
        ];
        if let Some((name, _)) = amounts.iter().find(|(_, amount)| *amount == 0) {
            return Some(format!("{name} is 0: nothing could run"));
        }
        let stack = 64 << 10..=1 << 20;
        (!stack.contains(&self.stack_bytes_max)).then(|| {
            format!(
                "stack_bytes_max is {}: expected 65536 to 1048576, since threads have 2 MiB",
                self.stack_bytes_max
            )
        })
    }
}

/// Which bound was reached; its number is in the unit of its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LimitKind {
    /// [`Limits::call_timeout`], in milliseconds.
    CallTime,
    /// [`Limits::query_timeout`], in milliseconds.
    QueryTime,
    /// [`Limits::compile_timeout`], in milliseconds.
    CompileTime,
    /// [`Limits::memory_bytes_max`].
    Memory,
    /// [`Limits::table_elements_max`].
    TableElements,
    /// [`Limits::core_instances_max`].
    CoreInstances,
    /// [`Limits::output_bytes_max`].
    OutputBytes,
    /// [`Limits::call_bytes_max`].
    CallBytes,
    /// [`Limits::inputs_max`].
    Inputs,
}

impl LimitKind {
    /// The limit's name in [`Limits`], which is what to raise.
    pub fn name(self) -> &'static str {
        match self {
            Self::CallTime => "call_timeout",
            Self::QueryTime => "query_timeout",
            Self::CompileTime => "compile_timeout",
            Self::Memory => "memory_bytes_max",
            Self::TableElements => "table_elements_max",
            Self::CoreInstances => "core_instances_max",
            Self::OutputBytes => "output_bytes_max",
            Self::CallBytes => "call_bytes_max",
            Self::Inputs => "inputs_max",
        }
    }

    /// What is counted.
    pub fn unit(self) -> &'static str {
        match self {
            Self::CallTime | Self::QueryTime | Self::CompileTime => "ms",
            Self::Memory | Self::OutputBytes | Self::CallBytes => "bytes",
            Self::TableElements => "table elements",
            Self::CoreInstances => "core instances, tables or memories",
            Self::Inputs => "inputs",
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_usable_and_faults_are_named() {
        assert_eq!(Limits::default().fault(), None);
        let zero = Limits { output_bytes_max: 0, ..Limits::default() };
        assert!(zero.fault().is_some_and(|text| text.starts_with("output_bytes_max is 0")));
        let stack = Limits { stack_bytes_max: 4 << 20, ..Limits::default() };
        assert!(stack.fault().is_some_and(|text| text.contains("1048576")));
    }
}

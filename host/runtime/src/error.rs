use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use floret_model::Digest;

use crate::contract::Contract;
use crate::limits::LimitKind;

/// Where something happened: which component, by which contract, doing what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// `name@version`, or `sha256:` and twelve digits before the name is known.
    pub component: String,
    /// Its contract, once known.
    pub contract: Option<Contract>,
    /// What it was doing: `load`, `describe`, `build`, `merge`, `analyze`, `parts`, `part 3 of 8` (counted from 1),
    /// `merge-parts`, `open`, `search`, `choose`.
    pub stage: Cow<'static, str>,
}

impl Site {
    pub(crate) fn unnamed(digest: Digest, stage: &'static str) -> Self {
        Self { component: format!("sha256:{}", digest.short()), contract: None, stage: stage.into() }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.contract {
            Some(contract) => write!(f, "{} ({contract}) in {}", self.component, self.stage),
            None => write!(f, "{} in {}", self.component, self.stage),
        }
    }
}

/// How a guest broke.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TrapKind {
    /// It gave up: a panic, an assertion, an abort.
    Unreachable,
    /// Calls nested deeper than [`Limits::stack_bytes_max`](crate::Limits::stack_bytes_max).
    StackOverflow,
    /// It read or wrote beyond its memory or a table.
    OutOfBounds,
    /// A division by zero or an overflow.
    Arithmetic,
    /// A call through a pointer that is none.
    BadCall,
    /// It handed over something that breaks the canonical ABI: text that is not UTF-8, an unknown handle.
    Abi(String),
    /// Anything else, in the engine's words.
    Other(String),
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("it gave up (an `unreachable` instruction)"),
            Self::StackOverflow => f.write_str("stack overflow"),
            Self::OutOfBounds => f.write_str("access out of bounds"),
            Self::Arithmetic => f.write_str("division by zero or integer overflow"),
            Self::BadCall => f.write_str("call of something that is no such function"),
            Self::Abi(text) => write!(f, "it broke the component ABI: {text}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// What a guest left behind when it broke or was stopped.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Traces {
    /// The text of its panic, if it logged one.
    pub panic: Option<String>,
    /// Functions on its stack, innermost first; at most 20.
    pub backtrace: Vec<String>,
    /// Its last log lines, oldest first; at most 8.
    pub log: Vec<String>,
    /// Bytes of log text beyond the limit, dropped.
    pub log_bytes_dropped: u64,
}

/// Why a component could not be loaded or a call failed, by what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields of errors are told by the variants' texts")]
pub enum Error {
    /// The component refuses an input: mend the input.
    #[error("{at}: invalid input: {text}")]
    InvalidInput { at: Box<Site>, text: String },
    /// The component refuses its configuration: mend the configuration.
    #[error("{at}: invalid configuration: {text}")]
    InvalidConfig { at: Box<Site>, text: String },
    /// The component does not do that: ask something else or another component.
    #[error("{at}: unsupported: {text}")]
    Unsupported { at: Box<Site>, text: String },
    /// The component gave up.
    #[error("{at}: failed: {text}")]
    Failed { at: Box<Site>, text: String },
    /// The component broke: mend the component.
    #[error("{at}: trapped: {kind}{}", panic_text(traces))]
    Trap { at: Box<Site>, kind: TrapKind, traces: Box<Traces> },
    /// The component was stopped at a limit: give it less, mend it, or raise the limit.
    #[error("{at}: stopped at the limit {which} = {limit} {}; give it less to do or raise the limit{}", which.unit(), panic_text(traces))]
    Limit { at: Box<Site>, which: LimitKind, limit: u64, traces: Box<Traces> },
    /// The component answered something that its contract forbids: mend the component.
    #[error("{at}: malformed answer: {text}")]
    Malformed { at: Box<Site>, text: String },
    /// The component says of its configuration what is no JSON Schema: mend the component.
    #[error(
        "{at}: the schema of its configuration is invalid: {text}; mend the JSON Schema that `describe` answers with, \
         and build the component again"
    )]
    InvalidSchema { at: Box<Site>, text: String },
    /// The caller's question is outside the contract: mend the call.
    #[error("{at}: invalid query: {text}")]
    InvalidQuery { at: Box<Site>, text: String },
    /// The component has another contract than the call needs.
    #[error("{at}: a component of {expected} is needed here")]
    WrongContract { at: Box<Site>, expected: &'static str },
    /// The bytes are no component.
    #[error("sha256:{} is not a WebAssembly component: {text}", digest.short())]
    NotAComponent { digest: Digest, text: String },
    /// The component exports no contract.
    #[error(
        "sha256:{} exports no Floret contract: expected one of {known}; it exports {}",
        digest.short(), listed(exports)
    )]
    NoContract { digest: Digest, exports: Vec<String>, known: String },
    /// The component exports more than one contract.
    #[error(
        "sha256:{} exports several contracts ({}): expected exactly one; build one component for each",
        digest.short(), listed(contracts)
    )]
    SeveralContracts { digest: Digest, contracts: Vec<String> },
    /// The component imports something that neither its contract nor the empty world of WASI offers.
    #[error(
        "sha256:{} imports {}, which {contract} does not offer: expected nothing but floret:types and of WASI 0.2 \
         the interfaces of cli, clocks, filesystem, io, random and sockets; {remedy}",
        digest.short(), listed(names)
    )]
    ForbiddenImport { digest: Digest, contract: Box<Contract>, names: Vec<String>, remedy: String },
    /// The component speaks a version of a contract that this host does not.
    #[error(
        "sha256:{} exports {found}, but this host speaks {supported}: use a host or a component of another version",
        digest.short()
    )]
    UnsupportedContractVersion { digest: Digest, found: String, supported: String },
    /// The component exports its contract with other types than the contract has.
    #[error("sha256:{} does not fit {contract}: {text}; build it with the published WIT files", digest.short())]
    ContractMismatch { digest: Digest, contract: Contract, text: String },
    /// The component does not export a contract of the embedding program.
    #[error("sha256:{} does not export {contract}; it exports {}", digest.short(), listed(exports))]
    NotExported { digest: Digest, contract: String, exports: Vec<String> },
    /// The component imports something that a contract of the embedding program does not offer.
    #[error(
        "sha256:{} imports {}, but {contract} offers {}: build the component without, or offer it",
        digest.short(), listed(names), listed(offered)
    )]
    ImportNotOffered { digest: Digest, contract: String, offered: Vec<String>, names: Vec<String> },
    /// The component and the embedding program take the contract for something different.
    #[error(
        "sha256:{} does not fit {contract}: {text}; build it and the program with the same WIT files",
        digest.short()
    )]
    TypesDiffer { digest: Digest, contract: String, text: String },
    /// A contract of the embedding program has a name that cannot be used.
    #[error("invalid contract: {text}")]
    InvalidContract { text: String },
    /// The file is larger than [`Limits::component_bytes_max`](crate::Limits::component_bytes_max).
    #[error(
        "the component has {size_bytes} bytes: at most {limit} are taken (component_bytes_max); strip it or raise the limit"
    )]
    TooLarge { size_bytes: u64, limit: u64 },
    /// The component is valid by its outline, but cannot be compiled.
    #[error("sha256:{} cannot be compiled: {text}", digest.short())]
    Compile { digest: Digest, text: String },
    /// The folder for compiled code cannot be used.
    #[error("the folder for compiled code {} cannot be used: {text}", path.display())]
    CompiledDir { path: PathBuf, text: String },
    /// The limits contradict themselves.
    #[error("invalid limits: {text}")]
    InvalidLimits { text: String },
    /// The engine could not be made.
    #[error("the WebAssembly engine cannot be made: {text}")]
    Engine { text: String },
    /// The caller went away, or the host is being shut down.
    #[error("{at}: cancelled")]
    Cancelled { at: Box<Site> },
}

floret_model::error_codes!(Error {
    InvalidInput => "plugin_invalid_input",
    InvalidConfig => "plugin_invalid_config",
    Unsupported => "plugin_unsupported",
    Failed => "plugin_failed",
    Trap => "plugin_trap",
    Limit => "plugin_limit",
    Malformed => "plugin_malformed",
    InvalidSchema => "plugin_invalid_schema",
    InvalidQuery => "plugin_invalid_query",
    WrongContract => "plugin_wrong_contract",
    NotAComponent => "plugin_not_a_component",
    NoContract => "plugin_no_contract",
    SeveralContracts => "plugin_several_contracts",
    ForbiddenImport => "plugin_forbidden_import",
    UnsupportedContractVersion => "plugin_contract_version",
    ContractMismatch => "plugin_contract_mismatch",
    NotExported => "plugin_no_contract",
    ImportNotOffered => "plugin_forbidden_import",
    TypesDiffer => "plugin_contract_mismatch",
    InvalidContract => "invalid_contract",
    TooLarge => "plugin_too_large",
    Compile => "plugin_compile",
    CompiledDir => "compiled_code",
    InvalidLimits => "configuration",
    Engine => "engine",
    Cancelled => "interrupted",
});

impl Error {
    /// Whether the same call would fail in the same way everywhere, so that the failure may be remembered:
    /// true for what a guest said, for what it answered and for what it is; false for traps (the stack is the
    /// host's), limits and cancellation.
    pub fn is_deterministic(&self) -> bool {
        !matches!(
            self,
            Self::Trap { .. }
                | Self::Limit { .. }
                | Self::TooLarge { .. }
                | Self::CompiledDir { .. }
                | Self::InvalidLimits { .. }
                | Self::InvalidContract { .. }
                | Self::Engine { .. }
                | Self::Cancelled { .. }
        )
    }

    /// Whether the caller is at fault (input, configuration, query) rather than the component.
    pub fn is_caller_fault(&self) -> bool {
        matches!(
            self,
            Self::InvalidInput { .. }
                | Self::InvalidConfig { .. }
                | Self::InvalidQuery { .. }
                | Self::Unsupported { .. }
                | Self::WrongContract { .. }
        )
    }

    /// Whether it is a stop at a certain limit.
    pub fn is_limit(&self, kind: LimitKind) -> bool {
        matches!(self, Self::Limit { which, .. } if *which == kind)
    }

    /// What the guest left behind, for a trap or a limit.
    pub fn traces(&self) -> Option<&Traces> {
        match self {
            Self::Trap { traces, .. } | Self::Limit { traces, .. } => Some(traces),
            _ => None,
        }
    }

    /// Where it happened, if a call was under way.
    pub fn site(&self) -> Option<&Site> {
        match self {
            Self::InvalidInput { at, .. }
            | Self::InvalidConfig { at, .. }
            | Self::Unsupported { at, .. }
            | Self::Failed { at, .. }
            | Self::Trap { at, .. }
            | Self::Limit { at, .. }
            | Self::Malformed { at, .. }
            | Self::InvalidSchema { at, .. }
            | Self::InvalidQuery { at, .. }
            | Self::WrongContract { at, .. }
            | Self::Cancelled { at } => Some(at),
            _ => None,
        }
    }
}

fn panic_text(traces: &Traces) -> String {
    match (&traces.panic, traces.log.last()) {
        (Some(panic), _) => format!(": {panic}"),
        (None, Some(line)) => format!("; its last log line: {line}"),
        (None, None) => String::new(),
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    }
}

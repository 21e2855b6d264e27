//! The [`Catalog`]: the version log, its edges, memos and blob rows, in one transactional home.

mod embedded;
mod lease;
mod mongo;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use floret_model::{
    BuildRecord, BuildSpec, Bump, CascadeReport, ContentLocation, Dependency, Digest, Memo, Metadata,
    Namespace, PolicyDecision, ResourceKey, ResourceType, Seq, TimestampMs, Version, VersionRef,
};
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

pub use self::embedded::EmbeddedCatalog;
pub use self::lease::{Lease, Leased};
pub use self::mongo::{CommandObserver, MongoCatalog};

/// What must be true of a resource's latest version for a draft to be appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Precondition {
    /// Anything.
    #[default]
    Any,
    /// The resource has no version.
    Absent,
    /// Its latest version has this seq.
    Latest(Seq),
}

impl Precondition {
    /// Whether a resource's latest version is as it must be.
    fn check(self, key: &ResourceKey, found: Option<Seq>) -> Result<(), Error> {
        let expected = match self {
            Self::Any => return Ok(()),
            Self::Absent => None,
            Self::Latest(seq) => Some(seq),
        };
        if expected == found {
            return Ok(());
        }
        Err(Error::Conflict { key: key.clone(), expected, found })
    }
}

/// What to do with a draft that equals the latest version in its fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IfUnchanged {
    /// Append nothing and answer with the latest version.
    #[default]
    Deduplicate,
    /// Append all the same. For publishers that have decided, under a precondition.
    Append,
}

/// A version before the catalog gives it its seq, semantic version and time.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Of which resource.
    pub key: ResourceKey,
    /// How its semantic version grows.
    pub bump: Bump,
    /// When it may be appended.
    pub precondition: Precondition,
    /// When it need not be.
    pub if_unchanged: IfUnchanged,
    /// See [`Version`], as for all that follow.
    pub data_hash: Digest,
    /// Media type of the raw bytes.
    pub media_type: String,
    /// Where the bytes already are.
    pub content_location: ContentLocation,
    /// The stored bytes, when inline.
    pub content_inline: Option<Bytes>,
    /// Versions that it was made from: committed and not dropped, or drafted earlier in the same publish.
    pub dependencies: Vec<Dependency>,
    /// What is known of it.
    pub metadata: Metadata,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// How long it is visible, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// How to build it again.
    pub spec: Option<BuildSpec>,
    /// How it was built.
    pub build: Option<BuildRecord>,
    /// How its codec was chosen.
    pub policy: Option<PolicyDecision>,
}

impl Draft {
    /// The version that it becomes, but for its place in the log: seq and semantic version are those of a first one.
    pub(crate) fn into_version(self, publish_id: &str, at: TimestampMs) -> Version {
        let mut dependencies = self.dependencies;
        dependencies.sort_unstable();
        dependencies.dedup();
        Version {
            key: self.key,
            seq: Seq::FIRST,
            version: semver::Version::new(1, 0, 0),
            created_at: at,
            data_hash: self.data_hash,
            media_type: self.media_type,
            content_location: self.content_location,
            content_inline: self.content_inline,
            dependencies,
            metadata: self.metadata,
            tags: self.tags,
            ttl_ms: self.ttl_ms,
            spec: self.spec,
            build: self.build,
            policy: self.policy,
            publish_id: publish_id.to_owned(),
            dropped_at: None,
        }
    }
}

/// Versions that become visible together, or not at all.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Names the publish.
    pub id: String,
    /// Its time; `created_at` of its versions.
    pub at: TimestampMs,
    /// Applied in order: a later draft may depend on an earlier one, and follow it in the same log.
    pub drafts: Vec<Draft>,
    /// Stored with it, and found by [`Catalog::cascades_of`] for every step's key.
    pub report: Option<CascadeReport>,
}

/// What became of a draft.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// It is the resource's latest version now.
    Appended(Arc<Version>),
    /// It equals the latest version, which this is.
    Unchanged(Arc<Version>),
}

impl Outcome {
    /// The version, new or old.
    pub fn version(&self) -> &Arc<Version> {
        match self {
            Self::Appended(version) | Self::Unchanged(version) => version,
        }
    }
}

/// Whether two versions are one, kept in two places.
pub(crate) fn is_copy(one: &Version, other: &Version) -> bool {
    one.key == other.key
        && one.seq == other.seq
        && one.version == other.version
        && one.created_at == other.created_at
        && one.fingerprint() == other.fingerprint()
}

/// Which heads to list, in the order of their keys.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Only of this namespace.
    pub namespace: Option<Namespace>,
    /// Only of this type (needs `namespace`, or scans).
    pub resource_type: Option<ResourceType>,
    /// Only ids that begin so.
    pub id_prefix: Option<String>,
    /// Only after this key: the last one of the page before.
    pub after: Option<ResourceKey>,
    /// At most so many.
    pub limit: usize,
}

/// State of a stored blob's row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum BlobState {
    /// A writer holds it until the lease ends; its object may not be there yet.
    Pending {
        /// End of the lease.
        lease_until: TimestampMs,
    },
    /// Its object is there, whole and durable. Kept while anything refers to it, and until the lease ends.
    Stored {
        /// End of the last writer's lease.
        lease_until: TimestampMs,
    },
    /// Nothing referred to it when it was condemned; its object goes when the grace period has passed. A
    /// writer of the same bytes makes a new generation and never revives this one.
    Condemned {
        /// When.
        at: TimestampMs,
    },
}

/// A blob's row: stored bytes, named by the digest of the raw ones.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlobRecord {
    /// SHA-256 of the raw bytes.
    pub digest: Digest,
    /// Grows with every claim that writes; the path has it.
    pub generation: u64,
    /// How the stored bytes are encoded, and how long they are. `path` is
    /// `cas/sha256/<2 digits>/<digest>.<generation>`.
    pub location: ContentLocation,
    /// Where it stands in its life.
    pub state: BlobState,
}

/// Answer to a writer who wants to store a blob.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// It is stored; its lease was extended, so it stays while the writer publishes.
    Present(BlobRecord),
    /// The writer is to put it, as this generation, and then settle it.
    Put {
        /// Generation to write: this claim's own, and never used again, so that no two writers ever write one
        /// object, and deleting one cannot hit another's.
        generation: u64,
    },
}

/// What a catalog holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CatalogStatistics {
    /// Resources.
    pub resources: u64,
    /// Versions, dropped ones included.
    pub versions: u64,
    /// Raw bytes of all versions that are not dropped: what storing each by itself would take.
    pub raw_bytes: u64,
    /// Blobs stored.
    pub blobs: u64,
    /// Raw bytes of those.
    pub blob_raw_bytes: u64,
    /// Their bytes as stored.
    pub blob_stored_bytes: u64,
    /// Bytes stored inline.
    pub inline_bytes: u64,
    /// Builds remembered.
    pub memos: u64,
}

/// How often a resource was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Access {
    /// Reads.
    pub count: u64,
    /// The last one.
    pub last_at: TimestampMs,
}

/// What another host, or this one, published: where the latest versions of some resources are now.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Names the publish.
    pub publish_id: String,
    /// The versions, each the latest of its resource when it was published.
    pub heads: Vec<VersionRef>,
    /// Where the stream can be taken up again, behind this change.
    pub token: ChangeToken,
}

/// A place in the stream of changes. Its bytes are the catalog's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeToken(pub Bytes);

/// Changes as they come. Ends only with an error.
pub type ChangeStream = BoxStream<'static, Result<Change, Error>>;

/// What a catalog says of the server behind it, for `floret doctor`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct CatalogProbe {
    /// Which engine, and its version.
    pub engine: String,
    /// Format of the records, or number of the schema.
    pub format: u32,
    /// The server's clock, where there is one.
    pub server_time: Option<TimestampMs>,
    /// What is not as it should be, e.g. an index that is missing: each with its remedy.
    pub problems: Vec<CatalogProblem>,
}

/// Something about a catalog that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CatalogProblem {
    /// What.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// The transactional home of everything but large contents.
///
/// Every method sees a committed state; a [`publish`](Self::publish) is seen whole or not at all, and is
/// durable when it returns. Implementations name themselves by `Display`. One conformance suite
/// ([`crate::conformance`]) runs over each.
#[async_trait]
pub trait Catalog: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// The latest version of each resource, in the order asked; `None` where there is none.
    async fn heads(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Arc<Version>>>, Error>;

    /// One version; `None` if it was never committed.
    async fn version(&self, reference: &VersionRef) -> Result<Option<Arc<Version>>, Error>;

    /// Versions of a resource, newest first, at most `limit`, only those below `before` if it is given.
    async fn log(
        &self,
        key: &ResourceKey,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, Error>;

    /// Latest versions, by key.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Arc<Version>>, Error>;

    /// Versions of a namespace and type created in `from .. to`, oldest first, at most `limit`.
    async fn created_between(
        &self,
        namespace: &Namespace,
        resource_type: &ResourceType,
        from: TimestampMs,
        to: TimestampMs,
        limit: usize,
    ) -> Result<Vec<VersionRef>, Error>;

    /// Resources whose latest version depends on any version of each resource, sorted, in the order asked.
    async fn dependents(&self, keys: &[ResourceKey]) -> Result<Vec<Vec<ResourceKey>>, Error>;

    /// Versions, not dropped, that depend on this very version.
    async fn referrers(&self, reference: &VersionRef) -> Result<Vec<VersionRef>, Error>;

    /// Commit all drafts at once, durably, and answer each in order.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a precondition fails, [`Error::MissingDependency`] when a dependency is not
    /// there, is dropped or is the draft itself, [`Error::Cycle`] when a draft's resource would come to depend
    /// on itself through latest versions, [`Error::MissingBlob`] when a content is neither inline nor stored.
    /// Nothing is written then. Drafts are checked in their order, each against the latest versions as the ones
    /// before left them. [`Error::Invalid`] when a record cannot be stored. An error of the backend leaves it
    /// open whether the publish is there after the store is opened again: whole, or not at all.
    async fn publish(&self, publish: Publish) -> Result<Vec<Outcome>, Error>;

    /// Keep the report of a cascade that published nothing.
    async fn put_report(&self, report: &CascadeReport) -> Result<(), Error>;

    /// Reports of cascades with a step for this resource, newest first, at most `limit`.
    async fn cascades_of(&self, key: &ResourceKey, limit: usize) -> Result<Vec<CascadeReport>, Error>;

    /// The builds remembered under these recipes, in the order asked.
    async fn memos(&self, recipes: &[Digest]) -> Result<Vec<Option<Memo>>, Error>;

    /// Remember a build whose output blob is stored, and keep that blob while it is remembered. Not necessarily
    /// durable at once: a memo lost is a build repeated.
    async fn put_memo(&self, memo: &Memo) -> Result<(), Error>;

    /// Forget builds made before `before` whose output no version refers to; answers how many.
    async fn forget_memos(&self, before: TimestampMs) -> Result<u64, Error>;

    /// A blob's row.
    async fn blob(&self, digest: &Digest) -> Result<Option<BlobRecord>, Error>;

    /// Say that a blob is about to be stored or referred to, and hold it until `lease_until`.
    async fn claim_blob(&self, digest: &Digest, lease_until: TimestampMs) -> Result<Claim, Error>;

    /// Say that the claimed object is there. Of several writers the first one's row stays, and is the answer.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the blob was condemned, or its row forgotten, since the claim.
    async fn settle_blob(&self, record: &BlobRecord) -> Result<BlobRecord, Error>;

    /// Blob rows after a digest, by digest, at most `limit`.
    async fn blobs(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<BlobRecord>, Error>;

    /// Condemn a blob if no version that is not dropped and no memo refers to it, and no lease holds it at
    /// `now`. Answers whether it is condemned now.
    async fn condemn_blob(&self, digest: &Digest, now: TimestampMs) -> Result<bool, Error>;

    /// Whether a version that is not dropped, or a memo, refers to a blob.
    async fn blob_is_referenced(&self, digest: &Digest) -> Result<bool, Error>;

    /// Forget the row of a condemned generation, once its object is gone. A newer generation stays.
    async fn forget_blob(&self, digest: &Digest, generation: u64) -> Result<(), Error>;

    /// Drop the bodies of those of these versions that no version which is not dropped depends on. A latest
    /// version is dropped only if it is expired at `now`. Rows stay, marked. Answers which were dropped.
    async fn drop_versions(
        &self,
        references: &[VersionRef],
        now: TimestampMs,
    ) -> Result<Vec<VersionRef>, Error>;

    /// Every version after a key and seq, in the order of keys and seqs, at most `limit`. For verify and copies.
    async fn scan(&self, after: Option<&VersionRef>, limit: usize) -> Result<Vec<Arc<Version>>, Error>;

    /// Differences between the version log and what is derived from it for speed (heads, edges, blob
    /// references): one line each, none in a sound catalog.
    async fn verify_indexes(&self) -> Result<Vec<String>, Error>;

    /// Add to the access counts. Not necessarily durable at once.
    async fn add_accesses(&self, accesses: &[(ResourceKey, Access)]) -> Result<(), Error>;

    /// How often a resource was read.
    async fn access(&self, key: &ResourceKey) -> Result<Access, Error>;

    /// What the catalog holds. Counts by scanning.
    async fn statistics(&self) -> Result<CatalogStatistics, Error>;

    /// Make everything written so far durable.
    async fn flush(&self) -> Result<(), Error>;

    /// Whether other processes may publish here, so that a latest version in a cache may have been overtaken.
    fn is_shared(&self) -> bool;

    /// Take a lease, or extend one that is ours: somebody's right to do something alone. Leases make work rare, never
    /// correct: whatever is done under one is harmless when it is done twice.
    async fn acquire_lease(&self, lease: &Lease, now: TimestampMs) -> Result<Leased, Error>;

    /// Give a lease back; one that is not ours stays as it is.
    async fn release_lease(&self, lease: &Lease) -> Result<(), Error>;

    /// What is published from now on, or after a token. `None` where nobody else can publish.
    ///
    /// # Errors
    /// [`Error::ChangesLost`] when the changes after the token are no longer kept: read again whatever was cached.
    async fn changes(&self, after: Option<ChangeToken>) -> Result<Option<ChangeStream>, Error>;

    /// Write versions of another catalog as they are, with their seqs, times and marks, all or none. Each must follow
    /// the latest version here, or one before it in the same call; its dependencies and its blob must be here. One that
    /// is here already, equal but for its location, is passed over. For `floret copy`.
    ///
    /// Cycles between resources are not looked for: a copy brings versions in an order in which the latest ones of the
    /// moment may form a cycle that the source never had. Each version's own dependencies are checked, and `floret
    /// verify` checks the graph.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another version has its place, and those of [`publish`](Self::publish).
    async fn import(&self, versions: &[Version]) -> Result<(), Error>;

    /// Memos after a recipe, by recipe, at most `limit`. For copies.
    async fn scan_memos(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<Memo>, Error>;

    /// Reports of cascades after an id, by id, at most `limit`. For copies.
    async fn scan_reports(&self, after: Option<&str>, limit: usize) -> Result<Vec<CascadeReport>, Error>;

    /// Access counts after a key, by key, at most `limit`. For copies.
    async fn scan_accesses(
        &self,
        after: Option<&ResourceKey>,
        limit: usize,
    ) -> Result<Vec<(ResourceKey, Access)>, Error>;

    /// Ask the server behind it how it is.
    async fn probe(&self) -> Result<CatalogProbe, Error>;
}

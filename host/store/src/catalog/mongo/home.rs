//! The connection: which server, which database, how it is asked.

use std::sync::Arc;
use std::time::Duration;

use bson::{Document, RawDocumentBuf, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{
    ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, ServerAddress, WriteConcern,
};
use mongodb::{Client, Collection, Database};

use super::failure;
use crate::{Error, install_crypto};

/// The database, unless the URI names one.
const DATABASE: &str = "floret";
/// How long a call waits for a server that can take it, unless the URI says otherwise.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a write waits for a majority: without an end it would wait for members that never come back.
pub(super) const MAJORITY_TIMEOUT: Duration = Duration::from_secs(10);

/// Is shown every command before it is sent: one for each round trip.
pub type CommandObserver = Arc<dyn Fn(&Document) + Send + Sync>;

/// A connected database.
#[derive(Clone)]
pub(super) struct Home {
    pub client: Client,
    pub database: Database,
    /// Versions as they are decoded.
    pub versions: Collection<RawDocumentBuf>,
    /// Versions where only some of their fields are asked for, or set.
    pub version_documents: Collection<Document>,
    pub blobs: Collection<RawDocumentBuf>,
    pub blob_documents: Collection<Document>,
    pub heads: Collection<Document>,
    pub memos: Collection<Document>,
    pub reports: Collection<Document>,
    pub publishes: Collection<Document>,
    pub accesses: Collection<Document>,
    pub leases: Collection<Document>,
    pub meta: Collection<Document>,
    /// For people: hosts and database, never a password.
    pub name: String,
}

impl Home {
    /// Connect, and see that the server can keep our promises.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a URI that cannot be read, [`Error::Unavailable`] when no server answers, and
    /// [`Error::Refused`] when it refuses us, or is no member of a replica set.
    pub async fn connect(uri: &str, observer: Option<CommandObserver>) -> Result<Self, Error> {
        install_crypto();
        let mut options = match ClientOptions::parse(uri).await {
            Ok(options) => options,
            Err(error) => return Err(failure::told_of_uri("the MongoDB catalog", &error)),
        };
        let database = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let hosts: Vec<String> = options.hosts.iter().map(ServerAddress::to_string).collect();
        let name = format!("the MongoDB catalog {database} at {}", hosts.join(","));
        options.app_name.get_or_insert_with(|| "floret".to_owned());
        options.server_selection_timeout.get_or_insert(SELECTION_TIMEOUT);
        options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
        options.write_concern = Some(write_concern());
        options.read_concern = Some(ReadConcern::majority());
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        if let Some(observer) = observer {
            options.command_event_handler = Some(EventHandler::callback(move |event| {
                if let CommandEvent::Started(event) = event {
                    observer(&event.command);
                }
            }));
        }
        let client = Client::with_options(options).map_err(|error| failure::told_of_uri(&name, &error))?;
        let database = client.database(&database);
        let home = Self {
            versions: database.collection("versions"),
            version_documents: database.collection("versions"),
            blobs: database.collection("blobs"),
            blob_documents: database.collection("blobs"),
            heads: database.collection("heads"),
            memos: database.collection("memos"),
            reports: database.collection("reports"),
            publishes: database.collection("publishes"),
            accesses: database.collection("accesses"),
            leases: database.collection("leases"),
            meta: database.collection("meta"),
            database,
            client,
            name,
        };
        home.check_replica_set().await?;
        Ok(home)
    }

    async fn check_replica_set(&self) -> Result<(), Error> {
        let hello = self.hello().await?;
        // A router of a sharded cluster has transactions and change streams, too.
        if hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
            return Ok(());
        }
        Err(Error::Refused {
            service: self.name.clone(),
            problem:
                "the server is no member of a replica set, so it has neither transactions nor change streams"
                    .to_owned(),
            remedy: "start mongod with --replSet rs0 and run rs.initiate() once; one member is enough"
                .to_owned(),
        })
    }

    /// What the server says of itself.
    pub async fn hello(&self) -> Result<Document, Error> {
        let hello = self.client.database("admin").run_command(doc! { "hello": 1 }).await;
        hello.map_err(|error| self.told(&error))
    }

    pub fn told(&self, error: &mongodb::error::Error) -> Error {
        failure::told(&self.name, error)
    }

    /// A write that lost every race.
    pub fn busy(&self) -> Error {
        Error::Unavailable {
            service: self.name.clone(),
            problem: "others wrote to the same records all the while".to_owned(),
            remedy: "try again".to_owned(),
        }
    }

    pub fn documents(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }
}

/// How a write is confirmed.
pub(super) fn write_concern() -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.w_timeout = Some(MAJORITY_TIMEOUT);
    concern
}

//! Moto processes, and places in them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use floret_store::{Objects, ObjectsOptions, open_objects};
use object_store::ObjectStore;

use super::Process;
use crate::s3::{ACCESS_KEY_ID, BUCKET, S3Server, SECRET_ACCESS_KEY};

/// Begins the names of what says where another server is that tests are to share.
const ENVIRONMENT: &str = "FLORET_TEST_S3_";

/// A Moto process with a bucket.
#[derive(Debug)]
pub struct S3 {
    process: Process,
    place: Place,
}

impl S3 {
    /// A Moto of its own. It keeps everything in memory: whoever kills it loses that.
    ///
    /// # Panics
    /// If it is not installed or does not start.
    pub fn moto() -> Self {
        let process = Process::start("moto_server", arguments, Vec::new());
        let place = Place {
            endpoint: format!("http://{}", process.address()),
            bucket: "floret-test".to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: "floret".to_owned(),
            secret_access_key: "floret-secret".to_owned(),
            prefix: String::new(),
        };
        make_bucket(process.address(), &place.bucket);
        Self { process, place }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// A prefix of its own for a test.
    pub fn place(&self) -> Place {
        self.place.fresh()
    }
}

/// A prefix in a bucket that no other test uses.
#[derive(Clone, Debug)]
pub struct Place {
    /// `http://HOST:PORT`.
    pub endpoint: String,
    /// The bucket, which is there.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Who we are.
    pub access_key_id: String,
    /// How we show it.
    pub secret_access_key: String,
    /// Of every object, without a slash at its end.
    pub prefix: String,
}

impl Place {
    /// In the server that all tests of this process share, or in the one that `FLORET_TEST_S3_ENDPOINT` names.
    ///
    /// # Panics
    /// If that is set, and one of the others is not.
    pub fn shared() -> Self {
        static SHARED: OnceLock<S3> = OnceLock::new();
        let given = |name: &str| std::env::var(format!("{ENVIRONMENT}{name}")).ok();
        let Some(endpoint) = given("ENDPOINT") else {
            return SHARED.get_or_init(S3::moto).place();
        };
        let needed = |name| given(name).unwrap_or_else(|| panic!("set {ENVIRONMENT}{name} too"));
        let place = Self {
            endpoint,
            bucket: needed("BUCKET"),
            region: given("REGION").unwrap_or_else(|| "us-east-1".to_owned()),
            access_key_id: needed("ACCESS_KEY_ID"),
            secret_access_key: needed("SECRET_ACCESS_KEY"),
            prefix: String::new(),
        };
        place.fresh()
    }

    /// In a server of this process, for tests whose S3 must be quick.
    pub fn in_process(server: &S3Server) -> Self {
        let place = Self {
            endpoint: format!("http://{}", server.address()),
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: SECRET_ACCESS_KEY.to_owned(),
            prefix: String::new(),
        };
        place.fresh()
    }

    /// For another process: see [`from_arguments`](Self::from_arguments).
    pub fn arguments(&self) -> [&str; 6] {
        [
            &self.endpoint,
            &self.bucket,
            &self.region,
            &self.access_key_id,
            &self.secret_access_key,
            &self.prefix,
        ]
    }

    /// From the [`arguments`](Self::arguments) that another process gave.
    pub fn from_arguments(
        [endpoint, bucket, region, access_key_id, secret_access_key, prefix]: [String; 6],
    ) -> Self {
        Self { endpoint, bucket, region, access_key_id, secret_access_key, prefix }
    }

    /// The objects there, as a host opens them.
    ///
    /// # Panics
    /// If the server does not answer or does not let us in.
    pub async fn objects(&self) -> Arc<dyn ObjectStore> {
        self.open().await.store
    }

    /// The same with its name.
    ///
    /// # Panics
    /// As [`objects`](Self::objects).
    pub async fn open(&self) -> Objects {
        let options = ObjectsOptions {
            endpoint: Some(self.endpoint.clone()),
            region: Some(self.region.clone()),
            access_key_id: Some(self.access_key_id.clone()),
            secret_access_key: Some(self.secret_access_key.clone()),
            ..ObjectsOptions::default()
        };
        let url = format!("s3://{}/{}", self.bucket, self.prefix);
        open_objects(&url, &options).await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn fresh(&self) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { prefix: format!("floret-test-{}-{number}", std::process::id()), ..self.clone() }
    }
}

/// Moto asks for no signature, so one plain request will do.
fn make_bucket(address: SocketAddr, bucket: &str) {
    let mut stream = TcpStream::connect(address).expect("Moto listens");
    let request = format!(
        "PUT /{bucket} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("Moto listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("Moto answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "Moto makes no bucket: {answer}");
}

fn arguments(port: u16, _folder: &Path) -> Vec<String> {
    let port = port.to_string();
    ["-H", "127.0.0.1", "-p", &port].map(str::to_owned).to_vec()
}

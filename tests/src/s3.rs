//! An S3 server in this process: `s3s-fs` over a folder. It checks signatures and checksums.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use floret_store::ObjectsOptions;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::sync::{Mutex, oneshot};

/// A user whom the server knows.
pub const ACCESS_KEY_ID: &str = "floret-test";
/// His key.
pub const SECRET_ACCESS_KEY: &str = "not a secret";
/// A bucket that is there.
pub const BUCKET: &str = "texts";

/// A server that ends when it is dropped, and its folder with it.
pub struct S3Server {
    address: SocketAddr,
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    service: S3Service,
    /// Its conditional puts look first and write then, so only one may be under way.
    putting: Mutex<()>,
}

impl Default for S3Server {
    fn default() -> Self {
        Self::start()
    }
}

impl S3Server {
    /// Start a server with one empty bucket on a free port.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let files = s3s_fs::FileSystem::new(folder.path()).expect("a folder");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(s3s::auth::SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let shared = Arc::new(Shared { service: builder.build(), putting: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || serve(listener, shared, stopped));
        Self { address, folder, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of the bucket, a file for each object.
    pub fn bucket(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }

    /// How it is reached.
    pub fn options(&self) -> ObjectsOptions {
        options(self.address)
    }

    /// The configuration of a host whose blobs are here.
    pub fn config(&self, prefix: &str) -> String {
        config(self.address, prefix)
    }
}

/// How a server that knows the user of the tests is reached.
pub fn options(address: SocketAddr) -> ObjectsOptions {
    ObjectsOptions {
        endpoint: Some(format!("http://{address}")),
        access_key_id: Some(ACCESS_KEY_ID.to_owned()),
        secret_access_key: Some(SECRET_ACCESS_KEY.to_owned()),
        ..ObjectsOptions::default()
    }
}

/// The section of a configuration file for such a server.
pub fn config(address: SocketAddr, prefix: &str) -> String {
    format!(
        "[blobs]\nurl = \"s3://{BUCKET}/{prefix}\"\nendpoint = \"http://{address}\"\n\
         access_key_id = \"{ACCESS_KEY_ID}\"\nsecret_access_key = \"{SECRET_ACCESS_KEY}\"\n"
    )
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was told when it happened.
            let _ = thread.join();
        }
    }
}

fn serve(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        let app = axum::Router::new().fallback(answer).with_state(shared);
        tokio::select! {
            served = async { axum::serve(listener, app).await } => served.expect("it serves"),
            _ = stopped => {}
        }
    });
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let turn = match *request.method() == Method::PUT {
        true => Some(shared.putting.lock().await),
        false => None,
    };
    let answered = shared.service.call(request.map(s3s::Body::http_body_unsync)).await;
    drop(turn);
    match answered {
        Ok(response) => response.map(axum::body::Body::new),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response(),
    }
}

//! Object stores by their URLs.
//!
//! | URL | where |
//! |---|---|
//! | `s3://BUCKET/PREFIX` | Amazon S3, or with an endpoint any server that speaks it |
//! | `gs://BUCKET/PREFIX` | Google Cloud Storage; in a build with the feature `gcp` |
//! | `azure://CONTAINER/PREFIX`, `az://…` | Azure Blob Storage; in a build with the feature `azure` |
//! | `file:///FOLDER`, or a path | a local folder |

mod check;
mod clouds;
mod explain;
mod put;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use floret_model::StorageType;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use url::Url;

use crate::Error;

pub use check::check_objects;
pub(crate) use explain::explain;
pub(crate) use put::put_new;

/// Longest wait between two tries of a request.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How an object store is reached. `None` leaves a value to the variables, and these to the service's defaults.
#[derive(Clone)]
pub struct ObjectsOptions {
    /// Names and values as the stock tools read them from the environment: `AWS_ACCESS_KEY_ID`, `AWS_REGION`,
    /// `AWS_ENDPOINT_URL`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME` … Others are passed over.
    pub variables: Vec<(String, String)>,
    /// Of a server that speaks S3 and is not Amazon's. Only one that begins with `http://` is spoken to without TLS.
    pub endpoint: Option<String>,
    /// Of an S3 bucket.
    pub region: Option<String>,
    /// Of an S3 user.
    pub access_key_id: Option<String>,
    /// Of an S3 user.
    pub secret_access_key: Option<String>,
    /// Of an S3 user's temporary key.
    pub session_token: Option<String>,
    /// Of one request, its body included.
    pub timeout: Duration,
    /// Until a connection stands.
    pub connect_timeout: Duration,
    /// How often a request that failed is made again.
    pub retries_max: usize,
    /// No request is made again when so much time has passed since the first.
    pub retry_timeout: Duration,
}

impl Default for ObjectsOptions {
    /// 30 s for a request, 5 s for a connection, 5 more tries within 60 s.
    fn default() -> Self {
        Self {
            variables: Vec::new(),
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            retries_max: 5,
            retry_timeout: Duration::from_secs(60),
        }
    }
}

/// An object store, and what it is called.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The store; its paths are those below the URL's prefix.
    pub store: Arc<dyn ObjectStore>,
    /// What locations say of it: `Disk` for a local folder, `S3` for a remote one of any kind.
    pub storage_type: StorageType,
    /// Its name in messages, e.g. `s3://texts/one at http://127.0.0.1:9000`.
    pub place: String,
    /// The folder, of a local one.
    pub folder: Option<PathBuf>,
}

/// Open what a URL names, and see with one request that it is there and lets us in: within 10 s.
///
/// # Errors
/// [`Error::Refused`] for a URL or options that are not valid, a bucket that is not there, credentials that are not
/// accepted, a server that speaks TLS or does not; [`Error::Unavailable`] for one that does not answer;
/// [`Error::Io`] and [`Error::Object`] for a folder that cannot be used.
pub async fn open_objects(url: &str, options: &ObjectsOptions) -> Result<Objects, Error> {
    let objects = build(url, options)?;
    if objects.storage_type == StorageType::S3 {
        // A client of its own: who opens an installation is told at once, and need not sit through all the retries.
        let impatient = ObjectsOptions { retries_max: options.retries_max.min(1), ..options.clone() };
        check_objects(&*build(url, &impatient)?.store, &objects.place).await?;
    }
    Ok(objects)
}

fn build(url: &str, options: &ObjectsOptions) -> Result<Objects, Error> {
    if !url.contains("://") {
        return local_folder(Path::new(url));
    }
    let parsed = Url::parse(url).map_err(|error| refused(url, error.to_string(), FORMS))?;
    let remote = |store: Arc<dyn ObjectStore>, place: String| Objects {
        store,
        storage_type: StorageType::S3,
        place,
        folder: None,
    };
    match parsed.scheme() {
        "file" => match parsed.to_file_path() {
            Ok(folder) => local_folder(&folder),
            Err(()) => Err(refused(url, "it names no local folder", "write file:///FOLDER")),
        },
        "s3" => {
            let (bucket, prefix) = bucket_and_prefix(url, &parsed)?;
            let (store, place) = s3(url, bucket, options)?;
            Ok(remote(below(store, prefix), place))
        }
        "gs" => {
            let (bucket, prefix) = bucket_and_prefix(url, &parsed)?;
            Ok(remote(clouds::google(url, bucket, prefix, options)?, url.to_owned()))
        }
        "azure" | "az" => {
            let (container, prefix) = bucket_and_prefix(url, &parsed)?;
            Ok(remote(clouds::azure(url, container, prefix, options)?, url.to_owned()))
        }
        other => Err(refused(url, format!("nothing here is called {other}://"), FORMS)),
    }
}

const FORMS: &str =
    "write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, azure://CONTAINER/PREFIX, file:///FOLDER or a path";

fn refused(url: &str, problem: impl Into<String>, remedy: &str) -> Error {
    Error::Refused {
        service: format!("the object store {}", without_secrets(url)),
        problem: problem.into(),
        remedy: remedy.to_owned(),
    }
}

/// A URL for messages. What stands before an `@`, or behind a `?`, may be a password, and in a URL that cannot be read
/// nobody knows where it ends.
fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let shown = if rest.contains('@') { "…" } else { rest.split(['?', '#']).next().unwrap_or_default() };
    format!("{scheme}://{shown}")
}

/// Whether somebody is named before the host, be it by nothing but a password or an `@`.
fn names_user(url: &str) -> bool {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    behind.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// An object store in a local folder, whose writes are on disk (file and folder) when they return.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be created, [`Error::Object`] when it cannot be opened.
pub fn local_objects(folder: &Path) -> Result<Arc<dyn ObjectStore>, Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Io {
        action: "create",
        path: folder.to_owned(),
        source,
    })?;
    let opened = LocalFileSystem::new_with_prefix(folder);
    let opened = opened.map_err(|source| Error::Object {
        action: "open",
        path: folder.display().to_string(),
        store: "the local file system".to_owned(),
        source: Box::new(source),
    })?;
    Ok(Arc::new(opened.with_fsync(true)))
}

/// [`local_objects`], and what it is called.
///
/// # Errors
/// As [`local_objects`].
pub fn local_folder(folder: &Path) -> Result<Objects, Error> {
    let store = local_objects(folder)?;
    let (place, folder) = (folder.display().to_string(), Some(folder.to_owned()));
    Ok(Objects { store, storage_type: StorageType::Disk, place, folder })
}

fn bucket_and_prefix<'a>(url: &str, parsed: &'a Url) -> Result<(&'a str, &'a str), Error> {
    let more = parsed.query().is_some() || parsed.fragment().is_some() || parsed.port().is_some();
    if more || names_user(url) {
        let remedy = "write s3://BUCKET/PREFIX and give endpoint, region and credentials by their own keys";
        return Err(refused(url, "it says more than a bucket and a prefix", remedy));
    }
    match parsed.host_str() {
        Some(bucket) if !bucket.is_empty() => Ok((bucket, parsed.path().trim_matches('/'))),
        _ => Err(refused(url, "it names no bucket", FORMS)),
    }
}

fn below(store: impl ObjectStore, prefix: &str) -> Arc<dyn ObjectStore> {
    match prefix {
        "" => Arc::new(store),
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    }
}

fn retry(options: &ObjectsOptions) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { max_backoff: BACKOFF_MAX, ..BackoffConfig::default() },
        max_retries: options.retries_max,
        retry_timeout: options.retry_timeout,
    }
}

/// What the HTTP client is told: an endpoint that says `http://` is the only one that is spoken to without TLS.
fn client_settings(options: &ObjectsOptions, plain_http: bool) -> [(ClientConfigKey, String); 3] {
    let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis());
    [
        (ClientConfigKey::Timeout, milliseconds(options.timeout)),
        (ClientConfigKey::ConnectTimeout, milliseconds(options.connect_timeout)),
        (ClientConfigKey::AllowHttp, plain_http.to_string()),
    ]
}

fn s3(url: &str, bucket: &str, options: &ObjectsOptions) -> Result<(impl ObjectStore, String), Error> {
    install_crypto();
    let mut builder = AmazonS3Builder::new();
    for (name, value) in &options.variables {
        if let Some(key) = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse().ok()).flatten()
        {
            builder = builder.with_config(key, value);
        }
    }
    let given = [
        (AmazonS3ConfigKey::S3Endpoint, &options.endpoint),
        (AmazonS3ConfigKey::Region, &options.region),
        (AmazonS3ConfigKey::AccessKeyId, &options.access_key_id),
        (AmazonS3ConfigKey::SecretAccessKey, &options.secret_access_key),
        (AmazonS3ConfigKey::Token, &options.session_token),
    ];
    for (key, value) in given {
        if let Some(value) = value {
            builder = builder.with_config(key, value);
        }
    }
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = endpoint.iter().find_map(|key| builder.get_config_value(key));
    if let Some(endpoint) = &endpoint {
        check_endpoint(url, endpoint)?;
    }
    let plain_http = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    for (key, value) in client_settings(options, plain_http) {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    let builder =
        builder.with_bucket_name(bucket).with_retry(retry(options)).with_checksum_algorithm(Checksum::SHA256);
    let store = builder.build().map_err(|error| refused(url, error.to_string(), S3_SETTINGS))?;
    let place = endpoint.map_or_else(|| url.to_owned(), |endpoint| format!("{url} at {endpoint}"));
    Ok((store, place))
}

fn check_endpoint(url: &str, endpoint: &str) -> Result<(), Error> {
    // It is told nowhere: what is too much may be a password.
    if endpoint.contains(['@', '?', '#']) {
        let remedy = "write https://HOST:PORT, and give credentials by their own keys";
        return Err(refused(url, "its endpoint says more than where the server is", remedy));
    }
    if Url::parse(endpoint).is_ok_and(|endpoint| matches!(endpoint.scheme(), "http" | "https")) {
        return Ok(());
    }
    Err(refused(url, format!("its endpoint {endpoint} is no URL"), "write https://HOST:PORT"))
}

const S3_SETTINGS: &str =
    "look at endpoint, region, access_key_id and secret_access_key under [blobs], and at the variables AWS_…";

/// Install the cryptography that TLS uses in this process, unless one is installed. Two are linked in, so that none is
/// chosen by itself: call it before the first connection of any kind.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_urls_are_refused_and_not_told() {
        for url in [
            "s3://secret@bucket/x",
            "s3://:secret@bucket",
            "s3://ada:secret@bucket/x",
            "s3://ada:se/secret@bucket",
            "s3://ada:se?secret@bucket",
            "s3://bucket/x?key=secret",
            "s3://bucket/x#secret",
            "nothing://ada:secret@bucket",
        ] {
            let error = build(url, &ObjectsOptions::default()).map(drop).expect_err("refused");
            assert!(matches!(error, Error::Refused { .. }), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for endpoint in
            ["https://ada:secret@host", "https://:secret@host", "ada:secret@host", "http://host?secret"]
        {
            let options = ObjectsOptions { endpoint: Some(endpoint.to_owned()), ..ObjectsOptions::default() };
            let error = build("s3://bucket/x", &options).map(drop).expect_err("refused");
            assert!(matches!(error, Error::Refused { .. }), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}

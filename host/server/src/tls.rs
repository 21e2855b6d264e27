//! TLS by rustls, with a certificate that is read anew when its files change.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// A certificate and its key, in PEM files that may be replaced while a server runs.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("cert", &self.cert).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Tls {
    /// Read a chain of certificates, the server's own first, and its key.
    ///
    /// # Errors
    /// In words, if a file cannot be read or holds something else, or the two do not belong together.
    pub fn open(cert: PathBuf, key: PathBuf) -> Result<Arc<Self>, String> {
        let current = RwLock::new(Arc::new(read(&cert, &key)?));
        Ok(Arc::new(Self { cert, key, current }))
    }

    /// What makes connections of streams.
    pub(crate) fn acceptor(self: &Arc<Self>) -> io::Result<TlsAcceptor> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config).into())
    }

    /// Read the files anew whenever they change. New ones that cannot be used leave the last good ones in place.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut seen = self.stamps();
        loop {
            tokio::time::sleep(EVERY).await;
            let stamps = self.stamps();
            if stamps == seen {
                continue;
            }
            match read(&self.cert, &self.key) {
                Ok(key) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                    tracing::info!("the certificate in {} is in use now", self.cert.display());
                }
                Err(problem) => tracing::warn!("the last good certificate stays in use: {problem}"),
            }
            seen = stamps;
        }
    }

    fn stamps(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.cert, &self.key].map(|file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }
}

impl ResolvesServerCert for Tls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(cert: &PathBuf, key: &PathBuf) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain =
        chain.map_err(|error| format!("{}: {error}: expected certificates in PEM", cert.display()))?;
    if chain.is_empty() {
        return Err(format!("{} holds no certificate in PEM", cert.display()));
    }
    let private = PrivateKeyDer::from_pem_file(key);
    let private = private.map_err(|error| format!("{}: {error}: expected a key in PEM", key.display()))?;
    CertifiedKey::from_der(chain, private, &ring::default_provider())
        .map_err(|error| format!("{} and {} cannot be used: {error}", cert.display(), key.display()))
}

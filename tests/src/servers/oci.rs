//! Debian's docker-registry, the reference implementation of a registry (CNCF Distribution).

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

use bytes::Bytes;
use floret_model::Digest;

use super::Process;
use crate::http::{Answer, read_answer, send_head};
use crate::registry::manifest;

/// A registry process that keeps its content in a folder of its own.
#[derive(Debug)]
pub struct OciRegistry {
    process: Process,
}

impl OciRegistry {
    /// Start it on a port of its own.
    ///
    /// # Panics
    /// If it is not installed or does not start.
    pub fn start() -> Self {
        Self { process: Process::start("/usr/bin/docker-registry", arguments, Vec::new()) }
    }

    /// `oci://ADDRESS/` and a repository with what follows it.
    pub fn source(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.process.address())
    }

    /// SIGKILL, at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Start it again, on the same port and with what it keeps.
    pub fn start_again(&mut self) {
        self.process.start_again();
    }

    /// Push a component as tools do; the answer is the digest of its manifest.
    ///
    /// # Panics
    /// If the registry does not take it.
    pub fn push(&self, repository: &str, tag: &str, component: &Bytes) -> Digest {
        self.blob(repository, b"{}");
        self.blob(repository, component);
        let manifest = manifest(Digest::of(component), component.len()).to_string();
        let target = format!("/v2/{repository}/manifests/{tag}");
        let kind = "application/vnd.oci.image.manifest.v1+json";
        self.ask("PUT", &target, kind, manifest.as_bytes()).is(201);
        Digest::of(manifest.as_bytes())
    }

    fn blob(&self, repository: &str, bytes: &[u8]) {
        let begun = self.ask("POST", &format!("/v2/{repository}/blobs/uploads/"), "text/plain", b"").is(202);
        let place = begun.header("location").expect("a place to upload to");
        let path = place.split_once("//").and_then(|(_, place)| place.find('/').map(|at| &place[at..]));
        let and = if place.contains('?') { '&' } else { '?' };
        let target = format!("{}{and}digest=sha256:{}", path.expect("a path"), Digest::of(bytes));
        self.ask("PUT", &target, "application/octet-stream", bytes).is(201);
    }

    fn ask(&self, method: &str, target: &str, kind: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.process.address()).expect("it listens");
        let length = body.len().to_string();
        send_head(&mut stream, method, target, &[("content-length", &length), ("content-type", kind)]);
        stream.write_all(body).expect("sent");
        read_answer(stream)
    }
}

fn arguments(port: u16, folder: &Path) -> Vec<String> {
    let data = folder.join("data");
    let config = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
        data.display()
    );
    let file = folder.join("config.yml");
    std::fs::write(&file, config).expect("written");
    vec!["serve".to_owned(), file.display().to_string()]
}

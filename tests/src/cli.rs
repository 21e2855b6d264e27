//! The real binary over a data folder of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A data folder and the binary that works in it.
pub struct Cli {
    folder: TempDir,
}

/// What a run of the binary left behind.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error.
    pub err: String,
}

impl Default for Cli {
    fn default() -> Self {
        Self::new()
    }
}

impl Cli {
    /// A fresh data folder. Its folder for compiled code is the one that all tests share.
    ///
    /// # Panics
    /// If the folder cannot be made.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let cli = Self { folder };
        std::fs::create_dir(cli.data()).expect("an empty folder");
        let shared = crate::compiled_dir();
        private_dir(&shared);
        std::os::unix::fs::symlink(shared, cli.data().join("compiled")).expect("a link");
        cli
    }

    /// A data folder with a text, its corpus and its index: `literature/a`, `corpus/a` and `trie/a`.
    ///
    /// # Panics
    /// If they cannot be made.
    pub fn with_trie() -> Self {
        let cli = Self::new();
        cli.save("literature/a", b"union unions united liberty");
        cli.run(&["corpus", "create", "corpus/a", "--text", "literature/a"]).ok();
        cli.run(&["build", "trie/a", "--from", "corpus/a"]).ok();
        cli
    }

    /// As [`new`](Self::new), with a configuration file in the data folder.
    pub fn configured(config: &str) -> Self {
        let cli = Self::new();
        cli.configure(config);
        cli
    }

    /// Write the configuration file anew.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn configure(&self, config: &str) {
        std::fs::write(self.data().join("config.toml"), config).expect("written");
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file beside the data folder.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        path
    }

    /// The binary with arguments, not started yet; no setting of the caller's environment reaches it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = command(crate::binary());
        command.arg("--data").arg(self.data()).args(args);
        command
    }

    /// Run the binary to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args), b"")
    }

    /// Run the binary with something on its standard input.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        run(&mut self.command(args), input)
    }

    /// Save a content and expect it to work.
    pub fn save(&self, key: &str, content: &[u8]) -> Ran {
        self.run_with(&["save", key, "-"], content).ok()
    }

    /// `floret verify` finds nothing.
    pub fn verify(&self) {
        self.run(&["verify"]).ok();
    }
}

impl Ran {
    /// It went well.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "{}: {}", self.status, self.err);
        self
    }

    /// It ended with an exit code and one error, which has these words in it.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}: {}", self.status, self.err);
        let errors = self.err.lines().filter(|line| line.starts_with("error:")).count();
        assert_eq!(errors, 1, "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Its standard output as text.
    ///
    /// # Panics
    /// If it is none.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("UTF-8")
    }

    /// Its standard output as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.out).expect("JSON")
    }
}

/// A program that none of the caller's settings reach.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["FLORET_", "AWS_", "GOOGLE_", "AZURE_", "OTEL_"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// Run a program to its end.
///
/// # Panics
/// If it does not start.
pub fn run(command: &mut Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        // A program that ends without reading closes the pipe, which is its good right.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().expect("the program ends")
    });
    let err = String::from_utf8(output.stderr).expect("errors are text");
    Ran { status: output.status, out: output.stdout, err }
}

fn private_dir(path: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).expect("a folder");
}

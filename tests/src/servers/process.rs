//! A server process: started on a port of its own, killed, and started again.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that does not answer for so long does not start.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a server that starts: it spares the processor, and nothing depends on it.
const PAUSE: Duration = Duration::from_millis(10);
/// Ports below those that systems give to clients: a client that tries a server which is down could come to talk to
/// itself otherwise.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Ports tried, should others take them first.
const TRIES_MAX: usize = 20;
/// Of its log, so much is shown when a test fails.
const LOG_SHOWN_BYTES: usize = 4_000;

/// Waits at the server's side: kills it when its own standard input ends, which happens at the latest when the test's
/// process does, however it ends. Told `keep`, it leaves the folder.
const GUARD: &str = r#"
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- >>"$folder/log" 2>&1 &
server=$!
{ read -r word <&3; kill -9 $server 2>/dev/null; [ "$word" = keep ]; } &
guard=$!
wait $server
: >"$folder/ended"
wait $guard || rm -rf "$folder"
"#;

/// A server process, and the folder that it keeps its data in. Dropped, both go.
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    arguments: fn(port: u16, folder: &Path) -> Vec<String>,
    extra: Vec<String>,
    guard: Option<Child>,
}

impl Process {
    /// Start a program of `target/venv/bin`, or one by its whole path, and wait until its port accepts connections.
    ///
    /// # Panics
    /// If the program is not installed or does not start.
    pub fn start(
        program: &str,
        arguments: fn(port: u16, folder: &Path) -> Vec<String>,
        extra: Vec<String>,
    ) -> Self {
        let program = crate::repository().join("target/venv/bin").join(program);
        assert!(program.exists(), "{} is missing; run `cargo xtask servers`", program.display());
        let folder = TempDir::with_prefix("floret-server-").expect("a temporary folder").keep();
        let mut server = Self { program, folder, port: 0, arguments, extra, guard: None };
        for _ in 0..TRIES_MAX {
            server.port = free_port();
            if server.spawn() {
                return server;
            }
        }
        panic!("{} does not start:\n{}", server.program.display(), server.log());
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// SIGKILL, at once. Its folder stays.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self) {
        let mut guard = self.guard.take().expect("it runs");
        let mut stdin = guard.stdin.take().expect("it is piped");
        stdin.write_all(b"keep\n").expect("its guard listens");
        drop(stdin);
        guard.wait().expect("its guard ends");
    }

    /// Start it again, on the same port and folder, with these further arguments from now on.
    ///
    /// # Panics
    /// If it runs, or does not start.
    pub fn start_again_with(&mut self, extra: Vec<String>) {
        assert!(self.guard.is_none(), "it runs");
        self.extra = extra;
        assert!(self.spawn(), "{} does not start again:\n{}", self.program.display(), self.log());
    }

    /// Start it again, on the same port and folder.
    ///
    /// # Panics
    /// If it runs, or does not start.
    pub fn start_again(&mut self) {
        self.start_again_with(self.extra.clone());
    }

    /// The end of what it logged.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder.join("log")).unwrap_or_default();
        let from = log.len().saturating_sub(LOG_SHOWN_BYTES);
        String::from_utf8_lossy(&log[from..]).into_owned()
    }

    /// Whether it started; if not, it ended by itself, e.g. since its port was taken.
    fn spawn(&mut self) -> bool {
        let ended = self.folder.join("ended");
        let _ = std::fs::remove_file(&ended);
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(&self.folder)
            .arg(&self.program)
            .args((self.arguments)(self.port, &self.folder))
            .args(&self.extra)
            .stdin(Stdio::piped())
            // It would say that the server was killed, which the test knows.
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let since = Instant::now();
        while TcpStream::connect_timeout(&self.address(), PATIENCE).is_err() {
            assert!(since.elapsed() < PATIENCE, "{}:\n{}", self.program.display(), self.log());
            if ended.exists() {
                guard.stdin.take().expect("it is piped").write_all(b"keep\n").expect("its guard listens");
                guard.wait().expect("its guard ends");
                return false;
            }
            std::thread::sleep(PAUSE);
        }
        self.guard = Some(guard);
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} logged:\n{}", self.program.display(), self.log());
        }
        match self.guard.take() {
            Some(mut guard) => {
                drop(guard.stdin.take());
                let _ = guard.wait();
            }
            None => drop(std::fs::remove_dir_all(&self.folder)),
        }
    }
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let width = PORTS.end - PORTS.start;
    // Processes of tests begin apart from each other.
    let first = u16::try_from(std::process::id() * 37 % u32::from(width)).expect("below the width");
    for _ in 0..width {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + (first + offset % width) % width;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

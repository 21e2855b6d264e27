//! The questions.

use crate::Deed;
use crate::bindings::wasi::cli::{environment, exit, stderr, stdin, stdout, terminal_stdout};
use crate::bindings::wasi::clocks::{monotonic_clock, timezone, wall_clock};
use crate::bindings::wasi::filesystem::preopens;
use crate::bindings::wasi::io::poll;
use crate::bindings::wasi::io::streams::StreamError;
use crate::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::bindings::wasi::sockets::network::IpAddressFamily;
use crate::bindings::wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket};

/// Ask everything; each answer is `question=answer` without spaces.
pub fn everything() -> Vec<String> {
    let wall = wall_clock::now();
    let wall_tick = wall_clock::resolution();
    let waiting =
        [monotonic_clock::subscribe_duration(u64::MAX), monotonic_clock::subscribe_instant(1 << 60)];
    waiting[0].block();
    let input = stdin::get_stdin();
    let closed = |error| if matches!(error, StreamError::Closed) { "closed" } else { "failed" };
    let network = instance_network::instance_network();
    let lookup = ip_name_lookup::resolve_addresses(&network, "localhost").map(drop);
    let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4).map(drop);
    vec![
        format!("arguments={:?}", environment::get_arguments()),
        format!("variables={:?}", environment::get_environment()),
        format!("folder={:?}", environment::initial_cwd()),
        format!("folders={}", preopens::get_directories().len()),
        format!("terminal={}", terminal_stdout::get_terminal_stdout().is_some()),
        format!("wall={}.{}", wall.seconds, wall.nanoseconds),
        format!("wall-tick={}.{}", wall_tick.seconds, wall_tick.nanoseconds),
        format!("monotonic={}", monotonic_clock::now()),
        format!("monotonic-tick={}", monotonic_clock::resolution()),
        format!("ready={}", waiting[1].ready()),
        format!("polled={}", poll::poll(&[&waiting[0], &waiting[1], &input.subscribe()]).len()),
        format!("read={}", input.blocking_read(10).map_or_else(closed, |_| "some")),
        format!("lookup={:?}", lookup.map_err(|error| error.name().to_owned())),
        format!("socket={:?}", socket.map_err(|error| error.name().to_owned())),
        format!("random={}", draw()),
        format!("random-bytes={:02x?}", random::get_random_bytes(8)).replace(' ', ""),
        format!("insecure={:x}", insecure::get_insecure_random_u64()),
        format!("insecure-bytes={}", insecure::get_insecure_random_bytes(100).len()),
        format!("seed={:x?}", insecure_seed::insecure_seed()).replace(' ', ""),
    ]
}

/// A random number.
pub fn draw() -> String {
    format!("{:016x}", random::get_random_u64())
}

/// Do what a plugin must not.
pub fn commit(deed: Deed) {
    match deed {
        Deed::Ask => {}
        Deed::Print => {
            print("printed line\nand the begin");
            print("ning of another");
            let error = stderr::get_stderr();
            let _ = error.blocking_write_and_flush("what went wrong: \u{e9}\n".as_bytes());
            panic!("enough printed");
        }
        Deed::Flood => loop {
            print("a flood of lines, each like the others\n");
        },
        Deed::Exit => exit::exit(Ok(())),
        Deed::TimeZone => {
            timezone::utc_offset(wall_clock::now());
        }
        Deed::RandomFlood => drop(random::get_random_bytes(u64::MAX)),
        Deed::WriteTooMuch => print(&"x".repeat(1 << 20)),
        Deed::Handles => loop {
            std::mem::forget(stdout::get_stdout());
        },
    }
}

fn print(text: &str) {
    let output = stdout::get_stdout();
    let _ = output.check_write();
    let _ = output.write(text.as_bytes());
    let _ = output.blocking_flush();
}

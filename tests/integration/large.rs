//! Contents too large for memory, through the real binary.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use floret_model::DigestHasher;
use floret_tests::blobs::noise;
use floret_tests::cli::Cli;
use floret_tests::s3::S3Server;

/// What "large" means in the promise.
const LARGE_BYTES: usize = 200_000_000;
/// Memory that a large content may take above what a small one takes.
const EXTRA_BYTES_MAX: u64 = 64 << 20;

/// Makes the mebibyte of a content that has a number: no two are alike, so that no codec finds one in another.
type Mebibyte = fn(u64) -> Vec<u8>;

/// A file of so many bytes, and its SHA-256.
fn write(path: &Path, length: usize, mebibyte: Mebibyte) -> String {
    let mut file = File::create(path).unwrap();
    let (mut left, mut hasher) = (length, DigestHasher::default());
    for number in 0.. {
        let mut bytes = mebibyte(number);
        bytes.truncate(left);
        file.write_all(&bytes).unwrap();
        hasher.update(&bytes);
        left -= bytes.len();
        if left == 0 {
            break;
        }
    }
    hasher.finish().to_string()
}

fn digest(path: &Path) -> String {
    let (mut file, mut hasher) = (File::open(path).unwrap(), DigestHasher::default());
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).unwrap() {
            0 => return hasher.finish().to_string(),
            length => hasher.update(&piece[..length]),
        }
    }
}

/// Run to the end; answers the peak of its memory in bytes, as the kernel counts it.
fn peak_bytes(command: &mut Command) -> u64 {
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        // The peak never falls, so that it is enough to have looked shortly before the end.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.trim().strip_suffix(" kB")) {
            peak = kib.parse::<u64>().unwrap() << 10;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(child.wait().unwrap().success());
    assert!(peak > 0, "the kernel tells it");
    peak
}

/// Save and read back by files, and through a pipe: nothing of it may take the memory of the content.
fn check(cli: &Cli, type_name: &str, compression: &str, mebibyte: Mebibyte) {
    let (small, large, copy) = (cli.file("small", ""), cli.file("large", ""), cli.file("copy", ""));
    write(&small, 1000, mebibyte);
    let expected = write(&large, LARGE_BYTES, mebibyte);
    let key = |name: &str| format!("{type_name}/{name}");
    let peaks = |name: &str, file: &Path| {
        let peak = |args: &[&str]| peak_bytes(cli.command(args).stdout(Stdio::null()));
        [
            peak(&["save", &key(name), file.to_str().unwrap(), "--no-cascade"]),
            peak(&["get", &key(name), "--output", copy.to_str().unwrap()]),
            peak(&["get", &key(name)]),
            peak(&["verify"]),
        ]
    };
    // Opened once before, so that nothing is compiled or installed while memory is measured.
    cli.run(&["list"]).ok();
    let below = peaks("small", &small);
    let above = peaks("large", &large);
    assert_eq!(digest(&copy), expected, "{type_name}, {compression}: byte for byte");
    let info = cli.run(&["--json", "get", &key("large")]).ok().json();
    let location = &info["content_location"];
    assert_eq!(location["compression"], compression, "{info}");
    assert!(location["size_compressed"].as_u64().unwrap() > 20 << 20, "sent in several parts: {info}");
    for ((what, below), above) in ["save", "get", "get to a pipe", "verify"].into_iter().zip(below).zip(above)
    {
        let extra = above.saturating_sub(below);
        println!("{type_name}, {compression}, {what}: {} MB more than for 1 KB", extra >> 20);
        assert!(extra < EXTRA_BYTES_MAX, "{type_name}, {compression}, {what}: {extra} bytes more");
    }
}

/// Bytes that nothing compresses.
fn random(number: u64) -> Vec<u8> {
    let (high, low) = (noise(1 << 20, 2 * number), noise(1 << 20, 2 * number + 1));
    high.iter().zip(low).map(|(high, low)| high << 4 | low).collect()
}

/// Lines of words of which there are 256.
fn words(number: u64) -> Vec<u8> {
    let letters = noise(1 << 19, number);
    let word = |(place, pair): (usize, &[u8])| {
        [b'a' + pair[0], b'a' + pair[1], b'k', if place % 16 == 15 { b'\n' } else { b' ' }]
    };
    letters.chunks_exact(2).enumerate().flat_map(word).collect()
}

#[test]
fn v8_two_hundred_megabytes_take_less_than_64_of_memory_over_s3() {
    let server = S3Server::start();
    let config = |prefix: &str| format!("types = [\"raw\"]\n{}", server.config(prefix));
    check(&Cli::configured(&config("random")), "raw", "none", random);
    check(&Cli::configured(&config("words")), "raw", "zstd", words);
}

#[test]
fn v8_two_hundred_megabytes_take_less_than_64_of_memory_in_a_folder() {
    check(&Cli::configured("types = [\"raw\"]\n"), "raw", "none", random);
    check(&Cli::configured("types = [\"raw\"]\n"), "raw", "zstd", words);
}

/// The text analyser reads a text by its lines; one without any it takes into its own, bounded memory.
#[test]
fn m15_a_text_of_two_hundred_megabytes_is_analysed_in_bounded_memory() {
    check(&Cli::new(), "literature", "zstd", words);
}

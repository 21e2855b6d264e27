//! Data folders that cannot be used: read-only, full, in use, or of a newer program.

use std::path::Path;
use std::process::Command;

use floret_pipeline::Error;
use floret_tests::cli::{Cli, Ran, command, run};
use floret_tests::{Setup, binary, open, save_text};
use tempfile::TempDir;

/// Run a script in which `mount` works and is seen by nobody else: `$DATA` is the data folder, `floret` the binary.
/// Root may do that everywhere but in a container without the right to; others where user namespaces are allowed.
fn mounted(cli: &Cli, script: &str) -> Ran {
    let mut unshare = command(Path::new("unshare"));
    unshare.args(["--map-root-user", "--mount", "sh", "-euc", script]);
    let path = std::env::var("PATH").unwrap_or_default();
    unshare.env("DATA", cli.data()).env("FLORET_DATA", cli.data());
    unshare.env("PATH", format!("{}:{path}", binary().parent().unwrap().display()));
    run(&mut unshare, b"")
}

#[test]
fn a_data_folder_that_is_read_only_is_an_error_that_names_it() {
    let cli = Cli::new();
    cli.save("literature/t", b"a text");
    let read_only = "mount --bind $DATA $DATA; mount -o remount,bind,ro $DATA; exec floret";
    let data = cli.data().display().to_string();
    for verb in ["list", "get literature/t", "verify", "save literature/t /dev/null"] {
        mounted(&cli, &format!("{read_only} {verb}")).fails(1, &[&data, "Read-only file system"]);
    }
    assert_eq!(cli.run(&["get", "literature/t"]).ok().text(), "a text");
    cli.verify();
}

#[test]
fn a_data_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let cli = Cli::new();
    let file = cli.file("file", "no folder");
    let inside = file.join("data");
    let mut floret = command(binary());
    floret.arg("--data").arg(&inside).arg("list");
    run(&mut floret, b"").fails(1, &[&inside.display().to_string(), "cannot create", "Not a directory"]);
}

#[test]
fn v5_a_full_disk_fails_the_save_and_loses_nothing() {
    let cli = Cli::configured("types = [\"raw\"]\n");
    cli.save("literature/t", b"before");
    // Noise, which does not compress.
    let mut random = floret_tests::journal::Random(1);
    let noise: Vec<u8> = (0..24 << 20).map(|_| random.below(256) as u8).collect();
    let noise = cli.file("noise", noise);
    let script = format!(
        "cp -r $DATA $DATA.copy
         mount -t tmpfs -o size=$(($(du -sm $DATA.copy | cut -f1) + 12))m floret $DATA
         cp -r $DATA.copy/. $DATA
         code=0; floret save raw/noise {noise} || code=$?
         test $code = 1
         mount -o remount,size=512m $DATA
         floret verify >&2
         test \"$(floret get literature/t)\" = before
         code=0; floret get raw/noise > /dev/null 2> /dev/null || code=$?
         test $code = 3
         floret save raw/noise {noise} >&2
         floret get raw/noise --fresh | cmp - {noise}
         floret verify >&2",
        noise = noise.display(),
    );
    let ran = mounted(&cli, &script).ok();
    let errors: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{}", ran.err);
    assert!(errors[0].contains("No space left on device"), "{}", errors[0]);
    assert!(errors[0].contains(&*cli.data().to_string_lossy()), "{}", errors[0]);
}

#[test]
fn v5_a_file_that_must_not_grow_fails_the_save_and_loses_nothing() {
    let cli = Cli::configured("types = [\"raw\"]\n");
    cli.save("literature/t", b"before");
    let zeros = cli.file("zeros", vec![7; 8 << 20]);
    cli.run(&["plugin", "bind", "policy", "policy-default", "--set", "never=[\"raw\"]"]).ok();
    // 2 MiB, in blocks of 512 bytes. Without the trap the signal would end the process.
    let mut limited = command(Path::new("sh"));
    limited.args(["-euc", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""]);
    limited.arg(binary()).arg("--data").arg(cli.data()).args(["save", "raw/x"]).arg(zeros);
    run(&mut limited, b"").fails(1, &["cas/sha256/", "File too large"]);
    assert_eq!(cli.run(&["get", "literature/t"]).ok().text(), "before");
    cli.run(&["get", "raw/x"]).fails(3, &["raw/x is not there"]);
    cli.verify();
}

/// Give the catalog of a closed store another format number.
fn set_format(data: &Path, format: u32) {
    let database = fjall::Database::builder(data.join("catalog/catalog")).open().unwrap();
    let meta = database.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
    assert!(meta.get("format").unwrap().is_some());
    meta.insert("format", format.to_le_bytes()).unwrap();
    database.persist(fjall::PersistMode::SyncAll).unwrap();
}

#[test]
fn a_store_of_a_newer_format_is_left_alone() {
    let cli = Cli::new();
    cli.save("literature/t", b"a text");
    set_format(&cli.data(), 7);
    let data = cli.data().display().to_string();
    for args in [&["get", "literature/t"][..], &["verify"], &["save", "literature/t", "/dev/null"]] {
        cli.run(args).fails(1, &[&data, "has format 7", "reads up to 1", "use a newer floret"]);
    }
    set_format(&cli.data(), 1);
    assert_eq!(cli.run(&["get", "literature/t"]).ok().text(), "a text");
    cli.verify();
}

#[test]
fn c12_a_cache_of_a_newer_format_is_left_alone_and_one_of_an_older_is_wiped() {
    let cli = Cli::new();
    cli.save("literature/t", b"a text");
    let format = cli.data().join("cache/format");
    let before = std::fs::read(&format).unwrap();
    std::fs::write(&format, "floret-cache 99\n").unwrap();
    let data = cli.data().join("cache").display().to_string();
    cli.run(&["get", "literature/t"]).fails(1, &[&data, "format 99", "upgrade it or remove the directory"]);
    std::fs::write(&format, "floret-cache 0\n").unwrap();
    assert_eq!(cli.run(&["get", "literature/t"]).ok().text(), "a text");
    assert_eq!(std::fs::read(&format).unwrap(), before);
    cli.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_another_process_has_open_is_told_with_who_has_it() {
    let cli = Cli::new();
    let host = open(&cli.data(), Setup::default()).await.unwrap();
    let folder = cli.data().display().to_string();
    let pid = format!("pid {}", std::process::id());
    for args in [&["list"][..], &["save", "literature/t", "/dev/null"], &["verify"]] {
        cli.run(args).fails(7, &[&folder, "in use", &pid]);
    }
    save_text(&host, "t", "the first goes on").await.unwrap();
    let error = open(&cli.data(), Setup::default()).await.unwrap_err();
    let error = error.downcast_ref::<floret_store::Error>().unwrap();
    assert!(matches!(error, floret_store::Error::InUse { holder: Some(_), .. }), "{error}");
    host.close().await.unwrap();
    drop(host);
    assert_eq!(cli.run(&["get", "literature/t"]).ok().text(), "the first goes on");
    cli.verify();
}

#[test]
fn v5_two_programs_at_once_never_both_work() {
    let cli = Cli::new();
    cli.run(&["list"]).ok();
    let mut programs: Vec<_> = (0..4)
        .map(|n| {
            let file = cli.file(&format!("{n}"), format!("content {n}"));
            let mut command = cli.command(&["save", "dictionary/x", file.to_str().unwrap()]);
            command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    let mut saved = 0;
    for program in programs.drain(..) {
        let output = program.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => saved += 1,
            Some(7) => assert!(err.contains("in use"), "{err}"),
            _ => panic!("{}: {err}", output.status),
        }
    }
    assert!(saved >= 1);
    let log = cli.run(&["--json", "log", "dictionary/x"]).ok().json();
    let versions = log.as_array().or(log["versions"].as_array()).unwrap();
    assert_eq!(versions.len(), saved);
    cli.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_this_process_cannot_be_opened_twice() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    assert!(open(folder.path(), Setup::default()).await.is_err());
    let error = host.get(&floret_tests::key("literature/x"), &Default::default(), Default::default()).await;
    assert!(matches!(error, Err(Error::NotFound { .. })), "the first is as it was");
}

/// A script that runs in a shell must not be an accident of the shell's own errors.
#[test]
fn the_tools_of_these_tests_are_there() {
    for tool in ["unshare", "sh", "mount", "du", "cmp"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap();
        assert!(found.status.success(), "{tool} is needed: util-linux, coreutils and diffutils have it");
    }
}

//! Compiled code on disk: used when whole, made anew when not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use floret_runtime::{Error, Limits, Runtime, RuntimeConfig};

use crate::guests::{dist, text};

fn runtime(folder: &Path) -> Result<Arc<Runtime>, Error> {
    Runtime::new(RuntimeConfig { compiled_dir: Some(folder.to_owned()), limits: Limits::default() })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

async fn works(folder: &Path) -> bool {
    let guest = runtime(folder).expect("a runtime").load(dist("misbehave")).await.expect("a component");
    guest.build_corpus(vec![text("x")], "{}").await.is_ok()
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).expect("metadata")
}

#[tokio::test]
async fn code_is_kept_private_and_used_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("compiled");
    assert!(works(&folder).await);
    let [file] = &files(&folder)[..] else {
        panic!("{:?}", files(&folder));
    };
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(file)), (0o700, 0o600));
    let before = modified(file);
    assert!(works(&folder).await);
    assert_eq!(modified(file), before, "it was compiled again");
}

#[tokio::test]
async fn damaged_and_truncated_code_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("compiled");
    assert!(works(&folder).await);
    let file = files(&folder).remove(0);
    let whole = fs::read(&file).expect("the file");
    let mut cases: Vec<Vec<u8>> = vec![
        Vec::new(),
        whole[..30].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        whole[..whole.len() / 2].to_vec(),
        [&whole[..], b"x"].concat(),
        b"something else altogether, longer than a trailer is, by far and away".to_vec(),
    ];
    for at in
        [0, 4_096, whole.len() / 2, whole.len() - 57, whole.len() - 50, whole.len() - 20, whole.len() - 8]
    {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        cases.push(damaged);
    }
    for (case, bytes) in cases.iter().enumerate() {
        fs::write(&file, bytes).expect("written");
        assert!(works(&folder).await, "case {case}");
        assert_eq!(files(&folder), std::slice::from_ref(&file), "case {case}");
        let anew = fs::read(&file).expect("the file");
        assert_eq!(anew.len(), whole.len(), "case {case}: it was not replaced");
    }
}

#[tokio::test]
async fn code_of_another_component_under_its_name_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("compiled");
    let loaded = runtime(&folder).expect("a runtime");
    loaded.load(dist("policy-default")).await.expect("a component");
    let policy = files(&folder).remove(0);
    loaded.load(dist("misbehave")).await.expect("a component");
    let misbehave = files(&folder).into_iter().find(|file| *file != policy).expect("two files");
    fs::copy(&policy, &misbehave).expect("copied");
    assert!(works(&folder).await);
    assert_ne!(fs::read(&policy).expect("a file"), fs::read(&misbehave).expect("a file"));
}

#[test]
fn a_folder_that_others_may_write_to_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for mode in [0o770, 0o707, 0o777] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("a mode");
        let error = runtime(folder.path()).err().expect("a refusal");
        assert!(matches!(error, Error::CompiledDir { .. }));
        assert!(error.to_string().contains("run chmod 700 on it"), "{error}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    assert!(runtime(folder.path()).is_ok());
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    assert!(runtime(&file).is_err());
}

#[tokio::test]
async fn the_folder_is_bounded_and_what_a_crash_left_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("compiled");
    let limits = Limits { compiled_bytes_max: 1, ..Limits::default() };
    let runtime =
        Runtime::new(RuntimeConfig { compiled_dir: Some(folder.clone()), limits }).expect("a runtime");
    fs::write(folder.join(".compiling-abc"), "half").expect("written");
    runtime.load(dist("policy-default")).await.expect("a component");
    let policy = files(&folder);
    assert_eq!(policy.len(), 1, "{policy:?}");
    let misbehave = runtime.load(dist("misbehave")).await.expect("a component");
    let after = files(&folder);
    assert!(after.len() == 1 && after != policy, "{after:?}");
    // Code whose file is gone runs on.
    fs::remove_file(&after[0]).expect("removed");
    assert!(misbehave.build_corpus(vec![text("x")], "{}").await.is_ok());
}

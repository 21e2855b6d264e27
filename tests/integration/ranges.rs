//! Parts of contents over HTTP.

use floret_tests::blobs::noise;
use floret_tests::cli::Cli;
use floret_tests::http::{Answer, Server};

/// Contents above this are streamed from a file.
const LARGE_BYTES: usize = 8 << 20;

fn part(server: &Server, at: &str, range: &str) -> Answer {
    server.ask("GET", at, &[("range", range)], b"")
}

#[track_caller]
fn is_part(answer: Answer, content: &[u8], first: usize, last: usize) {
    let answer = answer.is(206);
    assert_eq!(
        answer.header("content-range"),
        Some(format!("bytes {first}-{last}/{}", content.len()).as_str())
    );
    assert_eq!(answer.header("content-length"), Some((last - first + 1).to_string().as_str()));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    assert!(answer.header("etag").is_some() && answer.header("floret-seq") == Some("1"));
    assert!(answer.body == content[first..=last], "{first} to {last} are others");
}

#[test]
fn parts_of_a_small_content_are_answered() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let (at, content) = ("/v1/default/literature/a", b"0123456789");
    server.put(at, content).is(201);
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=2-4", 2, 4),
        ("bytes=7-", 7, 9),
        ("bytes=-3", 7, 9),
        ("bytes=0-99", 0, 9),
    ] {
        is_part(part(&server, at, range), content, first, last);
    }
    for range in ["bytes=10-", "bytes=-0", "bytes=99-100"] {
        let refused = part(&server, at, range).fails(416, "unsatisfiable_range");
        assert_eq!(refused.header("content-range"), Some("bytes */10"), "{range}");
    }
    for range in ["bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "nonsense"] {
        let whole = part(&server, at, range).is(200);
        assert_eq!((whole.body.as_slice(), whole.header("content-range")), (&content[..], None), "{range}");
    }
    let whole = server.get(at).is(200);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let tag = whole.header("etag").unwrap();
    let with = |name: &str, value: &str| server.ask("GET", at, &[("range", "bytes=0-1"), (name, value)], b"");
    is_part(with("if-range", tag), content, 0, 1);
    assert_eq!(with("if-range", "\"another\"").is(200).body, content);
    with("if-none-match", tag).is(304);
    // Ranges are for GET only.
    let head = server.ask("HEAD", at, &[("range", "bytes=0-1")], b"").is(200);
    assert_eq!((head.header("content-length"), head.header("accept-ranges")), (Some("10"), Some("bytes")));
}

#[test]
fn parts_of_a_large_content_are_answered() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let (at, content) = ("/v1/default/dictionary/large", noise(LARGE_BYTES + 1000, 5));
    server.put(at, &content).is(201);
    let end = content.len() - 1;
    for (range, first, last) in [
        ("bytes=0-0".to_owned(), 0, 0),
        (format!("bytes={}-{}", LARGE_BYTES - 1, LARGE_BYTES + 1), LARGE_BYTES - 1, LARGE_BYTES + 1),
        ("bytes=-1".to_owned(), end, end),
        ("bytes=1000-".to_owned(), 1000, end),
        (format!("bytes={end}-{}", end + 1), end, end),
    ] {
        is_part(part(&server, at, &range), &content, first, last);
    }
    part(&server, at, &format!("bytes={}-", end + 1)).fails(416, "unsatisfiable_range");
    assert!(part(&server, at, "bytes=3-2").is(200).body == content);
}

#[test]
fn an_empty_content_has_no_parts() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let at = "/v1/default/dictionary/empty";
    server.put(at, b"").is(201);
    let refused = part(&server, at, "bytes=0-").fails(416, "unsatisfiable_range");
    assert_eq!(refused.header("content-range"), Some("bytes */0"));
    let whole = part(&server, at, "bytes=-5").is(200);
    assert_eq!((whole.body.len(), whole.header("content-length")), (0, Some("0")));
}

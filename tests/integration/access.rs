//! Who may do what over HTTP: tokens and their scopes.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use floret_tests::cli::Cli;
use floret_tests::http::{Answer, Server};

/// A token as the command line makes it, and its id.
fn token(cli: &Cli, scope: &str, more: &[&str]) -> (String, String) {
    let all = [&["--json", "token", "create", "ada", "--scope", scope], more].concat();
    let made = cli.run(&all).ok().json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("token"), text("id"))
}

fn ask(server: &Server, method: &str, target: &str, token: &str, body: &[u8]) -> Answer {
    let bearer = format!("Bearer {token}");
    server.ask(method, target, &[("authorization", &bearer), ("content-type", "application/json")], body)
}

const AT: &str = "/v1/default/literature/walden";

#[test]
fn every_route_asks_for_its_scope() {
    let cli = Cli::new();
    let tokens: Vec<_> =
        ["read", "write", "plugins", "admin"].map(|scope| (scope, token(&cli, scope, &[]).0)).into();
    let server = Server::start(&cli, &[]);
    server.get("/healthz").is(200);
    server.get("/readyz").is(200);
    server.put(AT, b"x").fails(401, "unauthenticated");
    let unknown = server.get(AT).fails(401, "unauthenticated");
    assert_eq!(unknown.header("www-authenticate"), Some("Bearer"));
    let keys = br#"{"keys": ["literature/walden"]}"#;
    let routes: [(&str, &str, &[u8], &str); 24] = [
        ("PUT", AT, b"text", "write"),
        ("GET", AT, b"", "read"),
        ("GET", "/v1/default/literature/walden/log", b"", "read"),
        ("GET", "/v1/resources", b"", "read"),
        ("POST", "/v1/plans", keys, "read"),
        ("POST", "/v1/cascades", keys, "write"),
        ("POST", "/v1/batches", b"", "write"),
        ("POST", "/v1/builds", b"{}", "write"),
        ("PUT", "/v1/plugins/x", b"x", "plugins"),
        ("PUT", "/v1/bindings/trie", b"{}", "plugins"),
        ("DELETE", "/v1/breakers/trie", b"", "plugins"),
        ("GET", "/v1/breakers", b"", "read"),
        ("GET", "/v1/quarantines", b"", "read"),
        ("POST", "/v1/plugins", b"x", "plugins"),
        ("DELETE", "/v1/plugins/nobody", b"", "plugins"),
        ("DELETE", "/v1/bindings/nothing", b"", "plugins"),
        ("POST", "/v1/rollbacks", b"{}", "plugins"),
        ("POST", "/v1/inspections", b"x", "plugins"),
        ("DELETE", "/v1/quarantines/nobody", b"", "plugins"),
        ("POST", "/v1/policies/comparisons", b"{}", "plugins"),
        ("POST", "/v1/verifications", b"[]", "admin"),
        ("POST", "/v1/cleanups", b"[]", "admin"),
        ("POST", "/v1/cache/invalidations", b"{}", "admin"),
        ("POST", "/v1/cache/warmings", br#"{"limit": 1}"#, "admin"),
    ];
    for (method, target, body, needed) in routes {
        for (scope, token) in &tokens {
            let answer = ask(&server, method, target, token, body);
            let is_allowed = needed == "read" || *scope == needed || *scope == "admin";
            let is_refused = answer.status == 403;
            assert_eq!(is_refused, !is_allowed, "{method} {target} with {scope}: {}", answer.status);
            if is_refused {
                let problem = answer.fails(403, "forbidden").json();
                assert!(problem["detail"].as_str().unwrap().contains(needed), "{problem}");
            }
        }
        server.ask(method, target, &[], body).fails(401, "unauthenticated");
    }
    server.ask("GET", AT, &[("authorization", "Basic YTpi")], b"").fails(401, "unauthenticated");
}

/// A text, its corpus and its index, in the namespaces default and work.
fn two_namespaces() -> Cli {
    let cli = Cli::configured("[namespaces.work]\n");
    for space in ["", "work:"] {
        let named = |name: &str| format!("{space}{name}");
        cli.save(&named("literature/a"), b"union unions united liberty");
        cli.run(&["corpus", "create", &named("corpus/a"), "--text", &named("literature/a")]).ok();
        cli.run(&["build", &named("trie/a"), "--from", &named("corpus/a")]).ok();
    }
    cli
}

/// What is asked of one namespace, SPACE; names have NAME:, which is nothing for `default`.
const OF_A_NAMESPACE: [(&str, &str, &str); 21] = [
    ("GET", "/v1/SPACE/literature/a", ""),
    ("HEAD", "/v1/SPACE/literature/a", ""),
    ("GET", "/v1/SPACE/literature/a/log", ""),
    ("GET", "/v1/SPACE/literature/a/record", ""),
    ("GET", "/v1/SPACE/literature/a/records?limit=1", ""),
    ("GET", "/v1/SPACE/literature/a/document", ""),
    ("GET", "/v1/SPACE/trie/a/why", ""),
    ("GET", "/v1/SPACE/corpus/a/tree", ""),
    ("PUT", "/v1/SPACE/literature/new", "text"),
    ("GET", "/v1/resources?namespace=SPACE", ""),
    ("GET", "/v1/records?namespace=SPACE", ""),
    ("GET", "/v1/search?index=NAME:trie/a&text=union", ""),
    ("POST", "/v1/plans", r#"{"keys": ["NAME:literature/a"]}"#),
    ("POST", "/v1/cascades", r#"{"keys": ["work:literature/a", "NAME:literature/a"]}"#),
    ("POST", "/v1/builds", r#"{"key": "NAME:trie/a"}"#),
    ("POST", "/v1/builds", r#"{"key": "work:trie/b", "inputs": ["NAME:corpus/a"]}"#),
    ("POST", "/v1/builds", r#"{"key": "work:search/b", "parts": ["NAME:trie/a"]}"#),
    ("POST", "/v1/corpora", r#"{"key": "NAME:corpus/b", "documents": ["work:literature/a"]}"#),
    ("POST", "/v1/corpora", r#"{"key": "work:corpus/b", "documents": ["NAME:literature/a"]}"#),
    ("POST", "/v1/corpora/add", r#"{"key": "work:corpus/a", "children": ["NAME:corpus/b"]}"#),
    ("POST", "/v1/batches", r#"{"key": "NAME:literature/c", "text": "x"}"#),
];

/// What is asked of other namespaces, or of all of them.
const OF_OTHERS: [(&str, &str); 20] = [
    ("GET", "/v1/defaul%74/literature/a"),
    ("GET", "/v1/plugins/plugin/trie-fst"),
    ("GET", "/v1/resources"),
    ("GET", "/v1/records"),
    ("GET", "/v1/cache"),
    ("POST", "/v1/cache/warmings"),
    ("POST", "/v1/cache/invalidations"),
    ("POST", "/v1/verifications"),
    ("POST", "/v1/cleanups"),
    ("POST", "/v1/policies/comparisons"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/plugins"),
    ("PUT", "/v1/plugins/x"),
    ("POST", "/v1/inspections"),
    ("GET", "/v1/bindings"),
    ("PUT", "/v1/bindings/trie"),
    ("POST", "/v1/rollbacks"),
    ("GET", "/v1/breakers"),
    ("DELETE", "/v1/breakers/trie"),
    ("GET", "/v1/quarantines"),
];

#[test]
fn a_token_of_a_namespace_touches_no_other() {
    let cli = two_namespaces();
    let (limited, _) = token(&cli, "admin", &["--namespace", "work"]);
    let server = Server::start(&cli, &[]);
    let is_let_in = |method: &str, target: &str, body: &str| {
        let answer = ask(&server, method, target, &limited, body.as_bytes());
        if answer.status != 403 {
            return true;
        }
        let problem = answer.fails(403, "forbidden").json();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("is for the namespaces work only"), "{method} {target}: {detail}");
        false
    };
    for (method, target, body) in OF_A_NAMESPACE {
        let of = |space: &str, name: &str| {
            let filled = |text: &str| text.replace("SPACE", space).replace("NAME:", name);
            (filled(target), filled(body))
        };
        let (target, body) = of("work", "work:");
        assert!(is_let_in(method, &target, &body), "{method} {target} {body}");
        let (target, body) = of("default", "");
        if method == "HEAD" {
            assert_eq!(ask(&server, method, &target, &limited, b"").status, 403);
        } else {
            assert!(!is_let_in(method, &target, &body), "{method} {target} {body}");
        }
    }
    for (method, target) in OF_OTHERS {
        assert!(!is_let_in(method, target, "{}"), "{method} {target}");
    }
    let parent = "%7B%22parent%22%3A%22corpus%2Fa%22%7D";
    let bearer = format!("Bearer {limited}");
    let headers = [("authorization", bearer.as_str()), ("floret-options", parent)];
    let target = format!("/v1/{}/literature/p", "work");
    server.ask("PUT", &target, &headers, b"text").fails(403, "forbidden");
    ask(&server, "GET", "/v1/jobs/0badcafe", &limited, b"").fails(404, "not_found");
    server.stop();
    assert_eq!(cli.run(&["list", "-n", "9"]).ok().text().lines().count(), 3, "nothing was saved in default");
    cli.verify();
}

#[test]
fn a_token_may_be_for_components_alone() {
    let cli = two_namespaces();
    let (limited, _) = token(&cli, "plugins", &["--namespace", "plugins"]);
    let listed = cli.run(&["--json", "token", "list"]).ok().json();
    assert_eq!(listed[0]["namespaces"], serde_json::json!(["plugins"]));
    cli.run(&["token", "create", "x", "--scope", "read", "--namespace", "a:b"]).fails(2, &["--namespace"]);
    let server = Server::start(&cli, &[]);
    ask(&server, "GET", "/v1/plugins", &limited, b"").is(200);
    ask(&server, "GET", "/v1/plugins/trie-fst", &limited, b"").is(200);
    ask(&server, "GET", "/v1/plugins/plugin/trie-fst/record", &limited, b"").is(200);
    ask(&server, "DELETE", "/v1/breakers/trie", &limited, b"").is(200);
    ask(&server, "GET", "/v1/default/literature/a", &limited, b"").fails(403, "forbidden");
    ask(&server, "POST", "/v1/cleanups", &limited, b"{}").fails(403, "forbidden");
}

#[test]
fn tokens_that_others_can_read_are_refused() {
    let cli = Cli::new();
    token(&cli, "read", &[]);
    let file = cli.data().join("tokens.json");
    let allow = |mode| std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    for mode in [0o644, 0o660, 0o602] {
        allow(mode);
        cli.run(&["serve", "--listen", "127.0.0.1:0"]).fails(2, &["tokens.json", "chmod 600"]);
        cli.run(&["token", "list"]).fails(2, &["chmod 600"]);
    }
    allow(0o600);
    cli.run(&["token", "list"]).ok();
}

#[test]
fn a_token_is_revoked_while_the_server_runs() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    server.put(AT, b"text").is(201);
    let (text, id) = token(&cli, "write", &[]);
    let soon = |status: u16, text: &str| {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = ask(&server, "GET", AT, text, b"");
            if answer.status == status || Instant::now() > until {
                return answer.is(status);
            }
        }
    };
    soon(401, "floret_0_0");
    soon(200, &text);
    cli.run(&["token", "revoke", &id]).ok();
    let problem = soon(401, &text).json();
    assert!(problem["detail"].as_str().unwrap().contains("revoked"), "{problem}");
    let listed = cli.run(&["--json", "token", "list"]).ok().json();
    assert_eq!((listed[0]["id"].as_str(), listed[0]["revoked_at"].is_string()), (Some(id.as_str()), true));
    let secret = text.rsplit('_').next().unwrap();
    let kept = std::fs::read_to_string(cli.data().join("tokens.json")).unwrap();
    assert!(!kept.contains(secret) && !listed.to_string().contains(secret));
    std::fs::remove_file(cli.data().join("tokens.json")).unwrap();
    soon(401, &text);
}

#[test]
fn other_machines_come_in_with_tokens_only() {
    let cli = Cli::new();
    cli.run(&["serve", "--listen", "0.0.0.0:0"]).fails(2, &["nobody is asked", "floret token create"]);
    let (expired, _) = token(&cli, "read", &["--expires", "1ms"]);
    let server = Server::spawn(cli.command(&["serve", "--listen", "0.0.0.0:0"]));
    let problem = ask(&server, "GET", AT, &expired, b"").fails(401, "unauthenticated").json();
    assert!(problem["detail"].as_str().unwrap().contains("expired"), "{problem}");
    server.stop();
    std::fs::write(cli.data().join("tokens.json"), "{").unwrap();
    cli.run(&["serve", "--listen", "127.0.0.1:0"]).fails(2, &["tokens.json are damaged"]);
    cli.run(&["token", "list"]).fails(2, &["tokens.json are damaged"]);
}

#[test]
fn tokens_that_cannot_be_are_refused() {
    let cli = Cli::new();
    cli.run(&["token", "create", "ada"]).fails(2, &["--scope"]);
    cli.run(&["token", "create", "ada", "--scope", "all"])
        .fails(2, &["is no scope", "read, write, plugins or admin"]);
    cli.run(&["token", "create", "", "--scope", "read"]).fails(2, &["cannot be a token's name"]);
    cli.run(&["token", "create", "ada", "--scope", "read", "--expires", "soon"]).fails(2, &["soon"]);
    cli.run(&["token", "revoke", "0badcafe"]).fails(2, &["there is no token", "floret token list"]);
}

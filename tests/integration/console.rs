//! The console in a real browser, and what it answers to those who mean ill. Pictures of its pages are in
//! `target/screenshots` afterwards.

use std::time::{Duration, Instant};

use floret_tests::browser::{Browser, DESKTOP, PHONE};
use floret_tests::cli::Cli;
use floret_tests::http::Server;
use floret_tests::{component, variant};

/// A home with texts, a corpus of two versions, and indexes of it.
fn home() -> Cli {
    let cli = Cli::new();
    cli.save("literature/lincoln", b"government of the people by the people for the people\n");
    cli.save("literature/grant", b"let us have peace and a government of laws\n");
    for args in [
        &["corpus", "create", "corpus/lincoln", "--text", "literature/lincoln"][..],
        &["corpus", "create", "corpus/grant", "--text", "literature/grant"],
        &["corpus", "create", "corpus/all", "--child", "corpus/lincoln", "--child", "corpus/grant"],
        &["build", "trie/all", "--from", "corpus/all"],
        &["build", "semantic/all", "--from", "corpus/all"],
        &["build", "search/all", "--part", "corpus/all", "--part", "trie/all", "--part", "semantic/all"],
    ] {
        cli.run(args).ok();
    }
    cli.save("literature/lincoln", b"government of the people by the people for the nation\n");
    cli.run(&["cascade", "literature/lincoln"]).ok();
    cli
}

/// See that a page is as it should be, light and dark, wide and narrow, and take its picture.
async fn look(browser: &Browser, name: &str) {
    for (suffix, size, is_dark) in
        [("light", DESKTOP, false), ("dark", DESKTOP, true), ("phone", PHONE, false)]
    {
        browser.resize(size).await;
        browser.prefer_dark(is_dark).await;
        let barriers = browser.barriers().await;
        assert!(barriers.is_empty(), "{name}, {suffix}: {barriers:#?}");
        let script = "return document.documentElement.scrollWidth - window.innerWidth";
        let beyond = browser.client().execute(script, Vec::new()).await.unwrap();
        assert!(beyond.as_i64().unwrap() <= 0, "{name}, {suffix}: {beyond} pixels are beyond the edge");
        browser.screenshot(&format!("{name}-{suffix}")).await;
    }
    browser.resize(DESKTOP).await;
    browser.prefer_dark(false).await;
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{name}: {complaints:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_click_through_what_there_is() {
    let cli = home();
    let server = Server::start(&cli, &[]);
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", server.address())).await;
    browser.until_it_says("Resources by type").await;
    look(&browser, "overview").await;

    browser.click("Resources").await;
    browser.fill("type", "corpus").await;
    browser.click("Show").await;
    browser.until_it_says("corpus/grant").await;
    look(&browser, "resources").await;
    browser.click("corpus/all").await;
    browser.until_it_says("Provenance").await;
    let page = browser.text().await;
    for expected in ["latest", "1.0.1", "corpus-text", "trie/all", "literature/lincoln", "vocabulary_size"] {
        assert!(page.contains(expected), "no {expected:?} in\n{page}");
    }
    look(&browser, "resource").await;
    browser.find("a[href*='/diff?']").await.click().await.unwrap();
    browser.until_it_says("words are new").await;
    assert!(browser.text().await.contains("nation"));
    look(&browser, "diff").await;
    browser.click("Back to the resource").await;
    browser.click("The whole graph").await;
    browser.until_it_says("the nearest ones").await;
    look(&browser, "lineage").await;

    browser.click("Search").await;
    browser.fill("text", "goverment").await;
    browser.find("main form button").await.click().await.unwrap();
    browser.until_it_says("semantic/all@").await;
    assert!(browser.text().await.contains("government"));
    look(&browser, "search").await;

    browser.click("Cache").await;
    browser.fill("pattern", "literature/*").await;
    browser.click("Drop").await;
    browser.until_it_says("entries were dropped from memory").await;
    look(&browser, "cache").await;
    browser.click("Cleanup").await;
    look(&browser, "cleanup").await;
    browser.click("See what it would drop").await;
    browser.until_it_says("This was a dry run").await;
    look(&browser, "cleanup-dry-run").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_swap_what_builds_and_see_it_rebuilt() {
    let cli = home();
    let newer = cli.file("newer.wasm", variant(&component("trie-fst").unwrap(), "somebody"));
    let server = Server::start(&cli, &[]);
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/console/plugins", server.address())).await;
    browser.until_it_says("trie-fst").await;
    look(&browser, "plugins").await;
    browser.find("main [name='component']").await.send_keys(newer.to_str().unwrap()).await.unwrap();
    browser.fill("name", "trie-fst").await;
    browser.click("Install").await;
    browser.until_it_says("Who uses it").await;
    assert!(browser.text().await.contains("seq 2"));
    look(&browser, "plugin").await;

    browser.click("Plugins").await;
    browser.click("semantic").await;
    browser.fill("config", r#"{"dimension": 64}"#).await;
    browser.click("See what it would rebuild").await;
    browser.until_it_says("What it would rebuild").await;
    assert!(browser.text().await.contains("semantic/all"));
    look(&browser, "binding").await;
    browser.click("Bind it and rebuild").await;
    // Nobody loads the page again: its events do.
    browser.until_it_says("done of plugins:binding/semantic").await;
    let page = browser.text().await;
    for expected in ["semantic/all", "search/all", "built", "Time line"] {
        assert!(page.contains(expected), "no {expected:?} in\n{page}");
    }
    look(&browser, "cascade").await;
    browser.click("Plugins").await;
    browser.click("semantic").await;
    browser.click("Go back to the one before, and rebuild").await;
    browser.until_it_says("done of plugins:binding/semantic").await;
    browser.click("Work").await;
    browser.until_it_says("the newest first").await;
    browser.until_it_says("plugins:binding/semantic").await;
    look(&browser, "work").await;

    browser.click("Policies").await;
    look(&browser, "policies").await;
    browser.click("Compare").await;
    browser.until_it_says("decided differently").await;
    let script = "return document.querySelector('main img').naturalWidth";
    assert_eq!(browser.client().execute(script, Vec::new()).await.unwrap(), 960);
    look(&browser, "comparison").await;
    cli.run(&["plugin", "list"]).fails(7, &["in use"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_console_until_it_is_revoked() {
    let cli = Cli::new();
    let made = cli.run(&["--json", "token", "create", "ada", "--scope", "read"]).ok().json();
    let (secret, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    let server = Server::start(&cli, &[]);
    let at = |path: &str| format!("http://{}{path}", server.address());
    let browser = Browser::start().await;
    browser.open(&at("/console/jobs")).await;
    browser.until_it_says("floret token create").await;
    look(&browser, "login").await;
    browser.fill("token", "floret_wrong").await;
    browser.click("Log in").await;
    browser.until_it_says("not known").await;
    // The answer is a 401, and browsers say so.
    browser.complaints().await;
    browser.fill("token", secret).await;
    browser.click("Log in").await;
    browser.until_it_says("Nothing is at work").await;
    browser.open(&at("/console/cleanup")).await;
    browser.until_it_says("has not the scope admin").await;
    browser.complaints().await;
    look(&browser, "problem").await;
    browser.open(&at("/")).await;
    browser.click("Log out").await;
    browser.open(&at("/console/plugins")).await;
    browser.until_it_says("floret token create").await;
    browser.fill("token", secret).await;
    browser.click("Log in").await;
    browser.until_it_says("Bindings").await;
    cli.run(&["token", "revoke", id]).ok();
    let revoked = || async {
        browser.open(&at("/console/plugins")).await;
        browser.text().await.contains("floret token create")
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !revoked().await {
        assert!(Instant::now() < deadline, "the token is still good");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_along_by_keyboard() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", server.address())).await;
    browser.until_it_says("Nothing is stored yet").await;
    look(&browser, "empty").await;
    let focused = async || {
        let script = "return document.activeElement.textContent + ' ' + getComputedStyle(document.activeElement).outlineStyle";
        browser.client().execute(script, Vec::new()).await.unwrap().as_str().unwrap().to_owned()
    };
    let tab = async || {
        let active = browser.client().active_element().await.unwrap();
        active.send_keys("\u{e004}").await.unwrap();
    };
    tab().await;
    assert_eq!(focused().await, "Skip to the content solid");
    browser.client().active_element().await.unwrap().send_keys("\u{e007}").await.unwrap();
    let script = "return document.activeElement.id";
    assert_eq!(browser.client().execute(script, Vec::new()).await.unwrap(), "main");
    browser.open(&format!("http://{}/", server.address())).await;
    for expected in ["Skip to the content", "Floret", "Overview", "Resources"] {
        tab().await;
        assert_eq!(focused().await, format!("{expected} solid"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn markup_of_others_is_shown_as_text() {
    let cli = Cli::new();
    let evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'";
    cli.save(&format!("literature/{evil}"), evil.as_bytes());
    cli.run_with(&["save", "literature/b", "-", "--author", evil, "--title", evil, "--tag", "t"], b"b").ok();
    let server = Server::start(&cli, &[]);
    let browser = Browser::start().await;
    let at = |path: &str| format!("http://{}{path}", server.address());
    for path in [
        "/",
        "/console/resources",
        "/console/resources?prefix=%3Cscript%3Ealert(1)%3C%2Fscript%3E&type=literature",
        "/console/resources/default/literature/b",
        "/console/search?index=trie%2Fx&text=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/console/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    ] {
        let answer = server.get(path);
        let body = String::from_utf8(answer.body).unwrap();
        assert!(!body.contains("<script>") && !body.contains("<img src=x"), "{path}: {body}");
        browser.open(&at(path)).await;
        let script = "return document.querySelectorAll('script:not([src]), [onerror]').length";
        assert_eq!(browser.client().execute(script, Vec::new()).await.unwrap(), 0, "{path}");
        assert!(browser.client().get_alert_text().await.is_err(), "{path}: it was run");
    }
    // One of these pages is not there, and browsers say so.
    browser.complaints().await;
    browser.open(&at("/console/resources")).await;
    browser.find("main a[href*='%3Cscript%3E']").await.click().await.unwrap();
    browser.until_it_says(evil).await;
    look(&browser, "markup").await;
}

#[test]
fn pages_are_answered_with_what_protects_them_and_refused_to_pages_of_others() {
    let cli = home();
    let server = Server::start(&cli, &[]);
    let pages = [
        "/",
        "/console/resources",
        "/console/resources/default/corpus/all",
        "/console/resources/default/corpus/all/diff?a=1&b=2",
        "/console/resources/default/corpus/all/lineage?nodes=2",
        "/console/search?index=search%2Fall&text=people",
        "/console/jobs",
        "/console/plugins",
        "/console/plugins/trie-fst",
        "/console/bindings/trie",
        "/console/bindings/nothing-yet",
        "/console/policies",
        "/console/cache",
        "/console/cleanup",
        "/console/login",
    ];
    for page in pages {
        let answer = server.get(page).is(200);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{page}: {policy}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{page}");
        let body = String::from_utf8(answer.body).unwrap();
        for elsewhere in
            ["src=\"http", "href=\"http", "src=\"//", "href=\"//", " style=\"", "<style", " onclick"]
        {
            assert!(!body.contains(elsewhere), "{page}: {elsewhere}");
        }
        let evil = server.ask("GET", page, &[("host", "evil.example")], b"");
        assert_eq!(evil.status, 421, "{page}");
    }
    for asset in ["console.css", "console.js", "icon.svg"] {
        server.get(&format!("/console/assets/{asset}")).is(200);
    }
    for (page, status) in [
        ("/console/nothing", 404),
        ("/console/assets/..%2Fconsole.css", 404),
        ("/console/resources/default/corpus/none", 404),
        ("/console/resources/default/corpus/all?seq=99", 404),
        ("/console/resources/default/corpus/all?seq=0", 400),
        ("/console/resources/default/corpus/all/diff?a=1", 400),
        ("/console/resources/default/corpus/all/lineage?nodes=1001", 400),
        ("/console/resources?type=NO", 400),
        ("/console/resources?unknown=1", 400),
        ("/console/plugins/none", 404),
        ("/console/jobs/none", 404),
        ("/console/jobs/none/picture.svg", 404),
    ] {
        let answer = server.get(page).is(status);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{page}");
    }
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (at, body) in [
        ("/console/cache", "act=drop_all"),
        ("/console/cleanup", "dry_run=false"),
        ("/console/bindings/trie", "act=unbind"),
        ("/console/plugins/trie-fst", "act=remove"),
        ("/console/resources/default/literature/grant/cascade", ""),
    ] {
        let cross = server.ask("POST", at, &[form, ("sec-fetch-site", "cross-site")], body.as_bytes());
        assert_eq!(cross.status, 403, "{at}");
        let foreign = server.ask("POST", at, &[form, ("origin", "https://evil.example")], body.as_bytes());
        assert_eq!(foreign.status, 403, "{at}");
    }
    for (at, body) in [
        ("/console/cache", "act=burn"),
        ("/console/cleanup", "dry_run=perhaps"),
        ("/console/bindings/trie", "act=plan&component=trie-fst&config=%7B"),
        ("/console/bindings/trie", "act=plan&component=trie-fst&limits=1"),
        (
            "/console/policies",
            "a_component=policy-default&a_config=&b_component=policy-default&b_config=&last=0",
        ),
    ] {
        let answer = server.ask("POST", at, &[form], body.as_bytes());
        assert!([400, 422].contains(&answer.status), "{at}: {}", answer.status);
    }
    let moved =
        server.ask("POST", "/console/resources/default/literature/grant/cascade", &[form], b"").is(303);
    let work = moved.header("location").unwrap();
    assert!(work.starts_with("/console/jobs/"), "{work}");
    server.get(work).is(200);
    let told = server.get("/console/resources/default/corpus/all/lineage?nodes=2").is(200);
    let told = String::from_utf8(told.body).unwrap();
    assert!(told.contains("more are around them") && told.contains("?nodes=8"), "the subset comes first");
    server.stop();
    cli.verify();
}

//! Where components come from, and who vouches for them: what is not the component that was meant is not installed.

use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use floret_model::Digest;
use floret_tests::cli::Cli;
use floret_tests::http::Server;
use floret_tests::registry::{Door, Mood, Registry, layout, manifest};
use floret_tests::servers::OciRegistry;
use floret_tests::{component, variant};
use minisign::KeyPair;
use serde_json::{Value, json};

/// A component that is not the built-in one, though it does the same.
fn trie(authors: &str) -> Bytes {
    variant(&component("trie-fst").unwrap(), authors)
}

fn keys() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

fn sign(keys: &KeyPair, bytes: &[u8]) -> String {
    let signed = minisign::sign(None, &keys.sk, Cursor::new(bytes), Some("trie 1.0 by Ada"), None);
    signed.unwrap().into_string()
}

/// What `plugin list` says of a component; null if it is not there.
fn listed(cli: &Cli, name: &str) -> Value {
    let list = cli.run(&["--json", "plugin", "list"]).ok().json();
    list.as_array().unwrap().iter().find(|it| it["name"] == name).cloned().unwrap_or_default()
}

/// Patient enough for a slow machine, and not for a registry that says nothing.
const IMPATIENT: &str = "[plugins]\ntimeout = \"2s\"\nretries_max = 0\n";

#[test]
fn a_component_with_another_digest_is_not_installed() {
    let cli = Cli::new();
    let bytes = trie("Ada");
    let file = cli.file("trie.wasm", &bytes);
    let file = file.to_str().unwrap();
    let good = format!("sha256:{}", Digest::of(&bytes));
    let other = format!("sha256:{}", Digest::of(b"another"));
    let install = |digest: &str| cli.run(&["plugin", "install", file, "--name", "mine", "--digest", digest]);
    install(&other).fails(6, &[&good, &other, "nothing is installed"]);
    install("sha256:0123").fails(2, &["is no digest"]);
    install("md5:0123").fails(2, &["is no digest"]);
    assert_eq!(listed(&cli, "mine"), Value::Null);
    install(&good).ok();
    let mine = listed(&cli, "mine");
    assert_eq!(mine["metadata"]["source"], file);
    assert_eq!(mine["metadata"]["built_in"], false);
    cli.run_with(&["plugin", "install", "-", "--name", "mine", "--digest", &good], &bytes).ok();
    assert_eq!(listed(&cli, "mine")["seq"], 1);
    cli.configure("[limits]\ncomponent_bytes_max = \"1 KiB\"\n");
    // The built-in components are too large then, too, so that nothing opens; but the file is refused before.
    install(&good).fails(5, &["has", "bytes, and at most 1024", "limits.component_bytes_max"]);
    cli.run_with(&["plugin", "install", "-"], &bytes).fails(5, &["standard input", "at most 1024"]);
}

#[test]
fn where_keys_are_trusted_every_component_needs_a_signature_by_one_of_them() {
    let (ada, bede) = (keys(), keys());
    let config = format!("[plugins]\ntrusted_keys = [\"{}\"]\n", ada.pk.to_base64());
    let cli = Cli::configured(&config);
    let bytes = trie("Ada");
    let file = cli.file("trie.wasm", &bytes);
    let (file, name) = (file.to_str().unwrap(), "mine");
    let install = |more: &[&str]| cli.run(&[&["plugin", "install", file, "--name", name], more].concat());
    let nothing = "the component is not installed";
    install(&[]).fails(6, &[nothing, "it has no signature; trusted are", "minisign -Sm"]);
    for (signature, words) in [
        (sign(&bede, &bytes), "of another key"),
        (sign(&ada, b"something else"), "does not hold for these bytes"),
        ("untrusted comment: none".to_owned(), "malformed"),
        (String::new(), "malformed"),
    ] {
        let signature = cli.file("other.minisig", signature);
        install(&["--signature", signature.to_str().unwrap()]).fails(6, &[nothing, words]);
    }
    let garbage = cli.file("garbage.minisig", [0xff, 0xfe]);
    install(&["--signature", garbage.to_str().unwrap()]).fails(2, &["is no signature: it is not text"]);
    install(&["--signature", "not there"]).fails(2, &["cannot read not there"]);
    cli.run_with(&["plugin", "install", "-", "--name", name], &bytes).fails(6, &["it has no signature"]);
    assert_eq!(listed(&cli, name), Value::Null);

    // Beside the file it is found without being named.
    cli.file("trie.wasm.minisig", sign(&ada, &bytes));
    install(&["--plan"]).ok();
    assert_eq!(listed(&cli, name), Value::Null);
    install(&[]).ok();
    let signature = listed(&cli, name)["metadata"]["signature"].clone();
    assert_eq!(signature["trusted_comment"], "trie 1.0 by Ada");
    assert_eq!(signature["key_id"].as_str().unwrap().len(), 16);

    // Going back is an installation, too, and what is signed no longer by a trusted key is not gone back to.
    let next = trie("Ada, again");
    cli.file("trie.wasm", &next);
    cli.file("trie.wasm.minisig", sign(&ada, &next));
    install(&[]).ok();
    cli.run(&["plugin", "rollback", name]).ok();
    assert_eq!((listed(&cli, name)["seq"].clone(), listed(&cli, name)["data_hash"].clone()), {
        (json!(3), json!(Digest::of(&bytes).to_string()))
    });
    cli.configure(&format!("[plugins]\ntrusted_keys = [\"{}\"]\n", bede.pk.to_base64()));
    cli.run(&["plugin", "rollback", name, "--to", "2"]).fails(6, &["of another key"]);
    assert_eq!(listed(&cli, name)["seq"], 3);
    cli.verify();
}

#[test]
fn a_server_asks_for_signatures_too() {
    let (ada, bede) = (keys(), keys());
    let cli = Cli::configured(&format!("[plugins]\ntrusted_keys = [\"{}\"]\n", ada.pk.to_base64()));
    let bytes = trie("Ada");
    let server = Server::start(&cli, &[]);
    let put = |signature: &str| {
        let encoded: String = signature.bytes().map(|byte| format!("%{byte:02X}")).collect();
        server.ask("PUT", "/v1/plugins/mine", &[("floret-signature", &encoded)], &bytes)
    };
    server.put("/v1/plugins/mine", &bytes).fails(403, "untrusted");
    put(&sign(&bede, &bytes)).fails(403, "untrusted");
    put(&sign(&ada, b"something else")).fails(403, "untrusted");
    for broken in ["%zz", "%f", "%FF"] {
        let header = [("floret-signature", broken)];
        server.ask("PUT", "/v1/plugins/mine", &header, &bytes).fails(400, "invalid_request");
    }
    server.get("/v1/plugins/mine").fails(404, "unknown_component");
    put(&sign(&ada, &bytes)).is(201);
    server.stop();
    assert_eq!(listed(&cli, "mine")["metadata"]["signature"]["trusted_comment"], "trie 1.0 by Ada");
}

#[test]
fn keys_that_are_none_are_refused_when_the_program_starts() {
    let cli = Cli::configured("[plugins]\ntrusted_keys = [\"RWbogus\"]\n");
    cli.run(&["plugin", "list"])
        .fails(2, &["plugins.trusted_keys", "\"RWbogus\" is no public key of minisign"]);
    cli.configure("[plugins]\ntrusted_keys = []\n");
    let file = cli.file("trie.wasm", trie("Ada"));
    let signature = cli.file("trie.wasm.minisig", sign(&keys(), &trie("Ada")));
    let (file, signature) = (file.to_str().unwrap(), signature.to_str().unwrap());
    let named = ["plugin", "install", file, "--name", "mine", "--signature", signature];
    cli.run(&named).fails(6, &["no keys are trusted", "plugins.trusted_keys"]);
    // One that lies beside it is not looked at where nobody is trusted.
    cli.run(&["plugin", "install", file, "--name", "mine"]).ok();
    assert_eq!(listed(&cli, "mine")["metadata"]["signature"], Value::Null);
}

#[test]
fn a_registry_that_misbehaves_installs_nothing() {
    let registry = Registry::start();
    let bytes = trie("Ada");
    let pushed = registry.push("trie", "1.0", &bytes);
    let cli = Cli::configured(IMPATIENT);
    let before = cli.run(&["--json", "plugin", "list"]).ok().json();
    let source = registry.source("trie:1.0");
    let install = |source: &str| cli.run(&["plugin", "install", source, "--name", "mine"]);
    for (mood, code, words) in [
        (Mood::Fails(9, 503), 8, &["the registry answers 503", "DENIED: not now"][..]),
        (Mood::Fails(9, 403), 8, &["the registry refuses the manifest", "[plugins.registries."]),
        (Mood::Fails(9, 418), 8, &["answers 418"]),
        (Mood::Silent, 8, &["the registry does not answer"]),
        (Mood::Page, 5, &["no OCI manifest"]),
        (Mood::Cut, 8, &["the registry"]),
        (Mood::Endless, 5, &["sends more than the", "bytes that the component may have"]),
        (Mood::Damaged, 6, &["the component has the digest sha256:", "was expected"]),
    ] {
        registry.set(mood, Door::Open);
        install(&source).fails(code, &[&[source.as_str()], words].concat());
    }
    registry.set(Mood::Good, Door::Open);
    install(&registry.source("trie:2.0")).fails(3, &["has not got the manifest", "NAME_UNKNOWN"]);
    install("oci://127.0.0.1:1/trie:1.0").fails(8, &["the registry does not answer"]);
    install("oci://127.0.0.1:1").fails(2, &["there is no repository", "expected oci://HOST"]);
    install("https://127.0.0.1:1/trie").fails(2, &["https:// is nothing that components come from"]);

    // Manifests of something else.
    let layer = Digest::of(&bytes);
    let mut image = manifest(layer, bytes.len());
    image["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
    let mut two = manifest(layer, bytes.len());
    let again = two["layers"][0].clone();
    two["layers"].as_array_mut().unwrap().push(again);
    let index = json!({"schemaVersion": 2, "manifests": [two["layers"][0], two["layers"][1]]});
    let huge = manifest(layer, 1 << 40);
    let short = manifest(layer, 10);
    let missing = manifest(Digest::of(b"nowhere"), 10);
    for (tag, manifest, code, words) in [
        ("image", image, 5, "is no WebAssembly component"),
        ("two", two, 5, "2 layers: expected one"),
        ("index", index, 5, "lists 2 manifests: name one"),
        ("huge", huge, 5, "at most 67108864"),
        ("short", short, 5, "more than the 10 bytes"),
        ("missing", missing, 3, "has not got the component"),
    ] {
        registry.push_manifest("trie", tag, &manifest);
        install(&registry.source(&format!("trie:{tag}"))).fails(code, &[words]);
    }
    // A manifest that is not the one that was named, told by both digests.
    let other = registry.push("trie", "other", &trie("Bede"));
    registry.swap_manifest("trie", pushed, other);
    let locked = registry.source(&format!("trie:1.0@sha256:{pushed}"));
    install(&locked).fails(6, &[&format!("sha256:{pushed}"), &format!("sha256:{other}"), "was expected"]);
    assert_eq!(cli.run(&["--json", "plugin", "list"]).ok().json(), before);
    cli.verify();
}

#[test]
fn a_component_comes_from_a_registry_with_its_digest_and_by_a_password() {
    let registry = Registry::start();
    let bytes = trie("Ada");
    let pushed = registry.push("trie", "1.0", &bytes);
    let source = registry.source("trie:1.0");
    let locked = format!("{source}@sha256:{pushed}");
    let cli = Cli::configured("[plugins]\nretries_max = 2\n");
    let install = |source: &str| cli.run(&["plugin", "install", source, "--name", "mine"]);

    // What passes in a moment is tried again.
    registry.set(Mood::Fails(2, 503), Door::Token);
    install(&source).ok();
    let mine = listed(&cli, "mine");
    assert_eq!((mine["seq"].clone(), mine["metadata"]["source"].clone()), (json!(1), json!(locked)));
    assert_eq!(mine["data_hash"], Digest::of(&bytes).to_string());
    registry.set(Mood::Good, Door::Open);
    assert!(install(&locked).ok().text().starts_with("unchanged"), "the same bytes again");

    // Nobody is let in without the password, and it goes to nobody else.
    registry.push("trie", "2.0", &trie("Bede"));
    let next = registry.source("trie:2.0");
    let credentials = |password: &str| {
        let host = registry.host();
        let registry =
            format!("[plugins.registries.\"{host}\"]\nusername = \"ada\"\npassword = \"{password}\"\n");
        cli.configure(&registry);
    };
    for door in [Door::Ada, Door::Password] {
        registry.set(Mood::Good, door);
        cli.configure(IMPATIENT);
        install(&next).fails(8, &["refuses", "add username and password to [plugins.registries."]);
        credentials("guessed");
        let ran = install(&next).fails(8, &["refuses", "to ada"]);
        assert!(!ran.err.contains("guessed"), "{}", ran.err);
    }
    registry.set(Mood::Good, Door::Elsewhere);
    credentials("secret");
    install(&next).fails(8, &["names http://tokens.example/token for tokens: expected https"]);
    for (seq, door) in [(2, Door::Ada), (2, Door::Password)] {
        registry.set(Mood::Good, door);
        install(&next).ok();
        assert_eq!(listed(&cli, "mine")["seq"], seq);
    }
    let shown = cli.run(&["config", "show"]).ok();
    let mut lines = shown.text().lines();
    let password =
        lines.find(|line| line.starts_with("plugins.registries.") && line.contains(".password")).unwrap();
    assert!(password.contains("***") && !password.contains("secret"), "{password}");

    let asked = registry.requests();
    let inspected = cli.run(&["--json", "plugin", "inspect", &next]).ok().json();
    assert!(registry.requests() > asked);
    assert_eq!(inspected["metadata"]["authors"], "Bede");
    cli.verify();
}

#[test]
fn a_component_comes_from_a_real_registry_and_not_while_it_is_down() {
    let mut registry = OciRegistry::start();
    let bytes = trie("Ada");
    let pushed = registry.push("acme/trie", "1.0", &bytes);
    let cli = Cli::configured(IMPATIENT);
    let install = |source: &str| cli.run(&["plugin", "install", source, "--name", "mine"]);
    let source = registry.source("acme/trie:1.0");
    registry.kill();
    install(&source).fails(8, &[&source, "the registry does not answer"]);
    registry.start_again();
    install(&registry.source("acme/trie:2.0")).fails(3, &["MANIFEST_UNKNOWN"]);
    install(&registry.source("acme/nothing")).fails(3, &["has not got the manifest"]);
    let locked = registry.source(&format!("acme/trie@sha256:{pushed}"));
    install(&locked).ok();
    let mine = listed(&cli, "mine");
    assert_eq!((mine["data_hash"].clone(), mine["metadata"]["source"].clone()), {
        (json!(Digest::of(&bytes).to_string()), json!(locked))
    });
    assert!(install(&source).ok().text().starts_with("unchanged"));
}

#[test]
fn a_component_comes_from_a_layout_folder() {
    let cli = Cli::new();
    let folder = cli.data().with_file_name("layout");
    let (one, two) = (trie("Ada"), trie("Bede"));
    let digests = layout(&folder, &[("1.0", &one), ("2.0", &two)]);
    let source = |rest: &str| format!("oci-layout:{}{rest}", folder.display());
    let install = |source: &str| cli.run(&["plugin", "install", source, "--name", "mine"]);
    let nowhere = digests[0].to_string().replace(['0', '1', '2'], "f");
    for (source, code, words) in [
        (source(""), 5, "lists 2 manifests: name one by @sha256:DIGEST; there are 1.0 (sha256:"),
        (source(":3.0"), 3, "there is no tag \"3.0\": there are 1.0"),
        (source(&format!("@sha256:{nowhere}")), 3, "cannot read"),
        (source("@sha256:12"), 2, "is no digest"),
        (format!("oci-layout:{}", cli.data().display()), 3, "oci-layout"),
        ("oci-layout:".to_owned(), 2, "there is no folder"),
    ] {
        install(&source).fails(code, &[words]);
    }
    install(&source(":2.0")).ok();
    let from = format!("oci-layout:{}:2.0@sha256:{}", folder.display(), digests[1]);
    assert_eq!(listed(&cli, "mine")["metadata"]["source"], from);
    install(&source(&format!("@sha256:{}", digests[0]))).ok();
    assert_eq!(listed(&cli, "mine")["data_hash"], Digest::of(&one).to_string());

    let blob = |digest: &Digest| folder.join("blobs/sha256").join(digest.to_string());
    damage(&blob(&Digest::of(&two)));
    install(&source(":2.0")).fails(6, &["a blob has the digest sha256:", "was expected"]);
    std::fs::write(blob(&Digest::of(&two)), [two.as_ref(), b"more"].concat()).unwrap();
    install(&source(":2.0")).fails(5, &["has more than the"]);
    std::fs::write(folder.join("oci-layout"), "{}").unwrap();
    install(&source(":1.0")).fails(5, &["imageLayoutVersion"]);
    assert_eq!(listed(&cli, "mine")["seq"], 2);
    cli.verify();
}

fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[200] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

//! A real browser, driven over WebDriver: Chromium without a window. `cargo xtask servers` installs it, its driver and axe.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use axum::http::Method;
use base64::prelude::{BASE64_STANDARD, Engine};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

/// What is waited for comes within this, or the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Window sizes, in pixels.
pub const DESKTOP: (u32, u32) = (1280, 900);
/// Of a small phone.
pub const PHONE: (u32, u32) = (390, 844);

/// A browser with one window. Dropped, it is killed.
pub struct Browser {
    client: Client,
    _driver: Driver,
    _profile: TempDir,
}

/// The process that starts the browser, and takes it along when it is asked to end.
struct Driver {
    child: Child,
    // Kept, so that the pipe stays open.
    stdout: BufReader<ChildStdout>,
    port: String,
}

impl Driver {
    fn start() -> Self {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is missing; run `cargo xtask servers`");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut driver = Self { child, stdout, port: String::new() };
        let mut line = String::new();
        while driver.stdout.read_line(&mut line).expect("a pipe") > 0 {
            let told = line.trim_end().strip_prefix("ChromeDriver was started successfully on port ");
            if let Some(port) = told.and_then(|told| told.strip_suffix('.')) {
                driver.port = port.to_owned();
                return driver;
            }
            line.clear();
        }
        panic!("chromedriver does not say on which port it listens");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// A command that only Chromium's driver knows.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// Start it.
    ///
    /// # Panics
    /// If it or its driver is not installed, or does not start.
    pub async fn start() -> Self {
        let driver = Driver::start();
        let profile = TempDir::new().expect("a temporary folder");
        let folder = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--force-device-scale-factor=1",
            "--hide-scrollbars",
            &folder,
        ];
        let capabilities = Map::from_iter([
            ("browserName".to_owned(), json!("chrome")),
            ("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"})),
            ("goog:chromeOptions".to_owned(), json!({ "args": arguments })),
        ]);
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .expect("Chromium starts; `cargo xtask servers` installs it");
        Self { client, _driver: driver, _profile: profile }
    }

    /// The client, for what is not here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Load a page.
    ///
    /// # Panics
    /// If it does not load.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("the page loads");
    }

    /// The element that a CSS selector names first, as soon as it is there.
    ///
    /// # Panics
    /// If it does not come.
    pub async fn find(&self, selector: &str) -> Element {
        self.found(Locator::Css(selector), selector).await
    }

    /// Click a link or a button by its whole text.
    ///
    /// # Panics
    /// If there is none.
    pub async fn click(&self, text: &str) {
        let path = format!("//a[normalize-space()='{text}'] | //button[normalize-space()='{text}']");
        self.found(Locator::XPath(&path), text).await.click().await.expect("it can be clicked");
    }

    async fn found(&self, locator: Locator<'_>, what: &str) -> Element {
        match self.client.wait().at_most(PATIENCE).for_element(locator).await {
            Ok(element) => element,
            Err(error) => panic!("{what:?} is not on the page: {error}\n{}", self.text().await),
        }
    }

    /// Fill a field of a form, by its name.
    ///
    /// # Panics
    /// If there is none.
    pub async fn fill(&self, name: &str, text: &str) {
        let field = self.find(&format!("main [name='{name}']")).await;
        field.clear().await.expect("it can be changed");
        field.send_keys(text).await.expect("it can be typed into");
    }

    /// What is to be read on the page.
    ///
    /// # Panics
    /// If the browser is gone.
    pub async fn text(&self) -> String {
        let told = self.client.execute("return document.body.innerText", Vec::new()).await;
        told.expect("the browser answers").as_str().unwrap_or_default().to_owned()
    }

    /// Wait until the page has this text.
    ///
    /// # Panics
    /// If it does not come.
    pub async fn until_it_says(&self, text: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !self.text().await.contains(text) {
            assert!(tokio::time::Instant::now() < deadline, "no {text:?} in\n{}", self.text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Give the window another size.
    ///
    /// # Panics
    /// If the browser is gone.
    pub async fn resize(&self, (width, height): (u32, u32)) {
        let body = json!({
            "cmd": "Emulation.setDeviceMetricsOverride",
            "params": {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false},
        });
        self.extension("goog/cdp/execute", body).await;
    }

    /// Prefer dark pages, or light ones.
    ///
    /// # Panics
    /// If the browser is gone.
    pub async fn prefer_dark(&self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": value});
        let body = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": [feature]}});
        self.extension("goog/cdp/execute", body).await;
    }

    async fn extension(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Extension { path, body }).await.expect("the browser answers")
    }

    /// A picture of the whole page, in `target/screenshots`.
    ///
    /// # Panics
    /// If it cannot be taken or written.
    pub async fn screenshot(&self, name: &str) {
        let folder = crate::repository().join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        let params = json!({"captureBeyondViewport": true, "format": "png"});
        let body = json!({"cmd": "Page.captureScreenshot", "params": params});
        let taken = self.extension("goog/cdp/execute", body).await;
        let png = BASE64_STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(folder.join(format!("{name}.png")), png).expect("written");
    }

    /// What scripts, styles and loading had to complain of since the last time.
    ///
    /// # Panics
    /// If the browser is gone.
    pub async fn complaints(&self) -> Vec<String> {
        let told = self.extension("se/log", json!({"type": "browser"})).await;
        let entries = told.as_array().cloned().unwrap_or_default();
        let bad = entries.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        bad.map(|entry| entry["message"].to_string()).collect()
    }

    /// Serious findings of axe about the page as it is: each rule with the elements that break it.
    ///
    /// # Panics
    /// If axe is not installed.
    pub async fn barriers(&self) -> Vec<String> {
        let path = crate::repository().join("target/axe/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{} is missing; run `cargo xtask servers`", path.display()));
        self.client.execute(&axe, Vec::new()).await.expect("axe loads");
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations
              .filter((it) => it.impact === 'serious' || it.impact === 'critical')
              .map((it) => it.id + ': ' + it.nodes.map((node) => node.html + ' ' + (node.any[0]?.message ?? '')).join(' | '))));";
        let found = self.client.execute_async(script, Vec::new()).await.expect("axe runs");
        let found = found.as_array().cloned().expect("a list");
        found.iter().map(|it| it.as_str().unwrap_or_default().to_owned()).collect()
    }
}

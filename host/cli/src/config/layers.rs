//! Where the configuration comes from: flags over environment over file over defaults.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use etcetera::AppStrategy;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::Serialize;

use super::{Config, Secret};
use crate::failure::Failure;

/// The file in the data folder that is read unless `--config` names another.
pub(crate) const CONFIG_FILE: &str = "config.toml";
const PREFIX: &str = "FLORET_";
/// Variables with the prefix that are no key of the configuration.
pub(crate) const DOCUMENTED_ENV: [(&str, &str); 4] = [
    ("FLORET_CONFIG", "the configuration file, as --config"),
    ("FLORET_SERVER", "the server that is asked, as --server"),
    ("FLORET_TOKEN", "the token that it asks for, unless --token-file is given"),
    ("FLORET_TEST_", "whatever begins so belongs to the tests and is passed over"),
];

/// Keys whose values are texts, whatever they look like: a key of digits is no number.
const TEXTS: [&str; 14] = [
    "data",
    "log",
    "catalog.url",
    "blobs.url",
    "blobs.endpoint",
    "blobs.region",
    "blobs.access_key_id",
    "blobs.secret_access_key",
    "blobs.session_token",
    "cache.directory",
    "serve.tls_cert",
    "serve.tls_key",
    "serve.tokens",
    "serve.otlp_endpoint",
];

/// What the command line says of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--catalog`.
    pub catalog: Option<String>,
    /// `--blobs`.
    pub blobs: Option<String>,
    /// What `-v` makes of the log.
    pub log: Option<String>,
}

/// The effective configuration, and where each part of it comes from.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The configuration.
    pub config: Config,
    /// The data folder.
    pub data: PathBuf,
    /// The file that was read.
    pub file: Option<PathBuf>,
    figment: Figment,
}

/// One value and its source.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Setting {
    /// E.g. `cache.memory_bytes_max`.
    pub key: String,
    /// As a configuration file has it.
    pub value: serde_json::Value,
    /// `default`, a file, a variable or a flag.
    pub source: String,
}

/// The variables of this process with Floret's prefix; those whose value is empty count as not set.
pub(crate) fn process_env() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    let ours = |(name, value): &(String, String)| name.starts_with(PREFIX) && !value.is_empty();
    std::env::vars_os().filter_map(text).filter(ours).collect()
}

/// The variables of this process by which the stock tools of clouds are told of endpoints, regions and credentials.
pub(crate) fn cloud_env() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let clouds = |(name, value): &(String, String)| {
        ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.starts_with(prefix)) && !value.is_empty()
    };
    std::env::vars_os().filter_map(text).filter(clouds).collect()
}

/// Read the configuration.
///
/// # Errors
/// [`Failure::Configuration`] names the key, where it stands and what was expected.
pub(crate) fn load(flags: &Flags, env: &[(String, String)]) -> anyhow::Result<Settings> {
    let named = |name: &str| env.iter().find(|(var, _)| var == name).map(|(_, value)| PathBuf::from(value));
    let given = flags.config.clone().or_else(|| named("FLORET_CONFIG"));
    let elsewhere = given.is_some();
    let mut figment = Figment::from(Layer::defaults()?);
    let file = match given {
        Some(file) => Some(file),
        None => {
            let data = match flags.data.clone().or_else(|| named("FLORET_DATA")) {
                Some(data) => data,
                None => default_data()?,
            };
            Some(data.join(CONFIG_FILE)).filter(|file| file.exists())
        }
    };
    if let Some(file) = &file {
        // Read here, so that a file that cannot be read says why.
        let text = std::fs::read_to_string(file)
            .map_err(|error| configuration(format!("cannot read {}: {error}", file.display())))?;
        let provider = Toml::string(&text);
        let layer =
            Layer { name: file.display().to_string(), dict: dict_of(&provider, file)?, from: From::File };
        if !elsewhere && layer.dict.contains_key("data") {
            let message = format!(
                "`data` cannot be set in {}, which is in the data folder itself: use --data, FLORET_DATA, or a file named by --config",
                file.display()
            );
            return Err(configuration(message));
        }
        figment = figment.merge(layer);
    }
    figment = figment.merge(Layer::environment(env)).merge(Layer::flags(flags));
    let config: Config = figment.extract().map_err(|error| configuration(explain(&error)))?;
    let data = match &config.data {
        Some(data) => data.clone(),
        None => default_data()?,
    };
    Ok(Settings { config, data, file, figment })
}

fn configuration(message: String) -> anyhow::Error {
    anyhow!(Failure::Configuration(message))
}

/// The platform's folder for an application's data, e.g. `~/.local/share/floret`.
fn default_data() -> anyhow::Result<PathBuf> {
    let app = etcetera::AppStrategyArgs {
        top_level_domain: "dev".to_owned(),
        author: "floret".to_owned(),
        app_name: "floret".to_owned(),
    };
    let strategy =
        etcetera::choose_app_strategy(app).context("there is no home folder: say where with --data DIR")?;
    Ok(strategy.data_dir())
}

fn dict_of(toml: &impl Provider, file: &Path) -> anyhow::Result<Dict> {
    let refused = |error: figment::Error| {
        let problem = without_line(&error.kind.to_string());
        configuration(format!("{}: {problem}", file.display()))
    };
    let mut profiles = toml.data().map_err(refused)?;
    Ok(profiles.remove(&Profile::Default).unwrap_or_default())
}

/// What the parser of TOML says, but for the line that it shows: a password may be in it.
///
/// ```text
/// TOML parse error at line 2, column 7
///   |
/// 2 | url = "mongodb://ada:secret@…
///   |       ^
/// invalid basic string
/// ```
fn without_line(told: &str) -> String {
    let is_shown = |line: &str| {
        let margin = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        margin.trim_start().starts_with('|')
    };
    let kept = told.lines().filter(|line| !is_shown(line)).map(str::trim).filter(|line| !line.is_empty());
    kept.collect::<Vec<_>>().join(": ")
}

impl Settings {
    /// The same for another home: where its catalog and its blobs are, all else as it is.
    pub(crate) fn of_home(&self, data: PathBuf, catalog: Option<Secret>, blobs: Option<String>) -> Self {
        let mut config = self.config.clone();
        config.catalog.url = catalog;
        config.blobs.url = blobs;
        Self { config, data, file: self.file.clone(), figment: self.figment.clone() }
    }

    /// Every value with its source, in the order of a configuration file.
    pub(crate) fn all(&self) -> Vec<Setting> {
        let effective = serde_json::to_value(&self.config).expect("the configuration has string keys");
        let mut settings = Vec::new();
        self.collect(&mut Vec::new(), &effective, &mut settings);
        settings
    }

    fn collect(&self, path: &mut Vec<String>, value: &serde_json::Value, into: &mut Vec<Setting>) {
        if let Some(table) = value.as_object().filter(|table| !table.is_empty()) {
            for (name, value) in table {
                path.push(name.clone());
                self.collect(path, value, into);
                path.pop();
            }
            return;
        }
        let mut setting = Setting { key: path.join("."), value: value.clone(), source: self.source(path) };
        if setting.key == "data" && value.is_null() {
            setting.value = self.data.display().to_string().into();
        }
        into.push(setting);
    }

    fn source(&self, path: &[String]) -> String {
        let mut found = path.first().and_then(|first| self.figment.find_value(first).ok());
        for name in path.iter().skip(1) {
            found = found.and_then(|value| value.into_dict()).and_then(|mut dict| dict.remove(name));
        }
        let metadata = found.and_then(|value| self.figment.get_metadata(value.tag()).cloned());
        metadata
            .map_or_else(|| "default".to_owned(), |metadata| metadata.interpolate(&Profile::Default, path))
    }
}

/// What figment says, with the place as a user knows it.
fn explain(error: &figment::Error) -> String {
    let one = |error: figment::Error| {
        let kind = match &error.kind {
            figment::error::Kind::UnknownField(name, expected) => {
                format!("unknown key `{name}`: expected one of {}", expected.join(", "))
            }
            kind => kind.to_string(),
        };
        match (&error.metadata, error.path.as_slice()) {
            (Some(metadata), []) => format!("{kind} (in {})", metadata.name),
            (Some(metadata), path) => {
                let place = metadata.interpolate(&Profile::Default, path);
                format!("{}: {kind} (in {place})", path.join("."))
            }
            (None, path) => format!("{}: {kind}", path.join(".")),
        }
    };
    error.clone().into_iter().map(one).collect::<Vec<_>>().join("; ")
}

#[derive(Clone, Copy)]
enum From {
    Defaults,
    File,
    Environment,
    Flags,
}

/// One source of values.
struct Layer {
    name: String,
    dict: Dict,
    from: From,
}

impl Layer {
    fn defaults() -> anyhow::Result<Self> {
        let value = Value::serialize(Config::default()).map_err(|error| configuration(error.to_string()))?;
        Ok(Self {
            name: "default".to_owned(),
            dict: value.into_dict().unwrap_or_default(),
            from: From::Defaults,
        })
    }

    fn flags(flags: &Flags) -> Self {
        let mut dict = Dict::new();
        if let Some(data) = &flags.data {
            dict.insert("data".to_owned(), data.display().to_string().into());
        }
        if let Some(log) = &flags.log {
            dict.insert("log".to_owned(), log.clone().into());
        }
        for (section, url) in [("catalog", &flags.catalog), ("blobs", &flags.blobs)] {
            if let Some(url) = url {
                insert(&mut dict, &[section.to_owned(), "url".to_owned()], url.clone().into());
            }
        }
        Self { name: "flag".to_owned(), dict, from: From::Flags }
    }

    /// `FLORET_CACHE__MEMORY_BYTES_MAX` is `cache.memory_bytes_max`. Values are read as TOML where they are TOML.
    fn environment(env: &[(String, String)]) -> Self {
        let mut dict = Dict::new();
        for (var, text) in env {
            let documented =
                |(name, _): &(&str, &str)| var == name || (name.ends_with('_') && var.starts_with(name));
            if DOCUMENTED_ENV.iter().any(documented) {
                continue;
            }
            let Some(key) = var.strip_prefix(PREFIX) else { continue };
            let path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
            let value = match TEXTS.contains(&path.join(".").as_str()) {
                true => Value::from(text.as_str()),
                false => text.parse().unwrap_or_else(|_| Value::from(text.as_str())),
            };
            insert(&mut dict, &path, value);
        }
        Self { name: "environment".to_owned(), dict, from: From::Environment }
    }
}

fn insert(dict: &mut Dict, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        dict.insert(first.clone(), value);
        return;
    }
    let mut inner = match dict.remove(first) {
        Some(Value::Dict(_, inner)) => inner,
        _ => Dict::new(),
    };
    insert(&mut inner, rest, value);
    dict.insert(first.clone(), inner.into());
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        let (name, from) = (self.name.clone(), self.from);
        Metadata::named(self.name.clone()).interpolater(move |_, path| match from {
            From::Defaults | From::File => name.clone(),
            From::Environment => format!("{PREFIX}{}", path.join("__").to_ascii_uppercase()),
            From::Flags if path == ["log"] => "flag -v".to_owned(),
            From::Flags if path.len() > 1 => format!("flag --{}", path[0]),
            From::Flags => format!("flag --{}", path.join("-")),
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn folder(config: &str) -> (tempfile::TempDir, Flags) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(CONFIG_FILE), config).expect("written");
        let flags = Flags { data: Some(folder.path().to_owned()), ..Flags::default() };
        (folder, flags)
    }

    fn source(settings: &Settings, key: &str) -> String {
        settings.all().into_iter().find(|setting| setting.key == key).expect(key).source
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file =
            "log = \"info\"\n[cache]\nmemory_bytes_max = \"1 MiB\"\ndisk_bytes_max = 5\n[namespaces.work]\n";
        let (folder, mut flags) = folder(file);
        flags.log = Some("trace".to_owned());
        let env = env(&[
            ("FLORET_LOG", "debug"),
            ("FLORET_CACHE__MEMORY_BYTES_MAX", "2 MiB"),
            ("FLORET_DATA", "/elsewhere"),
        ]);
        let settings = load(&flags, &env).expect("a good configuration");
        assert_eq!(settings.config.log, "trace");
        assert_eq!(settings.config.cache.memory_bytes_max.0, 2 << 20);
        assert_eq!(settings.config.cache.disk_bytes_max.0, 5);
        assert_eq!(settings.config.namespaces.len(), 3);
        assert_eq!(settings.data, folder.path());
        assert_eq!(source(&settings, "log"), "flag -v");
        assert_eq!(source(&settings, "data"), "flag --data");
        assert_eq!(source(&settings, "cache.memory_bytes_max"), "FLORET_CACHE__MEMORY_BYTES_MAX");
        assert!(source(&settings, "cache.disk_bytes_max").ends_with(CONFIG_FILE));
        assert_eq!(source(&settings, "limits.call_timeout"), "default");
        assert_eq!(source(&settings, "namespaces.work.memory_items_max"), "default");
    }

    #[test]
    fn unknown_keys_are_refused_wherever_they_stand() {
        for (file, vars, expected) in [
            ("cach = 1", &[][..], "unknown key `cach`"),
            ("[cache]\nmemory = 1", &[], "unknown key `memory`"),
            ("[namespaces.default]\nmemory_limit = 1", &[], "config.toml"),
            ("", &[("FLORET_CACHES__X", "1")], "FLORET_CACHES"),
            ("", &[("FLORET_DATE", "x")], "unknown key `date`"),
        ] {
            let (_folder, flags) = folder(file);
            let error = load(&flags, &env(vars)).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn texts_of_the_environment_stay_texts() {
        let (_folder, flags) = folder("");
        for text in ["12e4", "0001", "true", "[1]", "\"quoted\""] {
            let vars = env(&[("FLORET_BLOBS__SECRET_ACCESS_KEY", text), ("FLORET_CATALOG__URL", text)]);
            let config = load(&flags, &vars).expect(text).config;
            assert_eq!(config.blobs.secret_access_key.expect("a key").0, text);
            assert_eq!(config.catalog.url.expect("a text").0, text);
        }
    }

    #[test]
    fn documented_variables_are_no_keys() {
        let (folder, flags) = folder("");
        let other = folder.path().join("other.toml");
        std::fs::write(&other, "log = \"error\"").expect("written");
        let vars = env(&[("FLORET_CONFIG", other.to_str().expect("UTF-8")), ("FLORET_TEST_S3_BUCKET", "x")]);
        assert_eq!(load(&flags, &vars).expect("good").config.log, "error");
    }

    #[test]
    fn bad_values_say_where_they_stand() {
        for (file, expected) in [
            ("[cache]\nmemory_bytes_max = \"many\"", "cache.memory_bytes_max: \"many\" is not a size"),
            ("[limits]\ncall_timeout = \"10\"", "limits.call_timeout"),
            ("[namespaces.Work]\n", "namespace \"Work\" is not valid"),
            ("[namespaces.default]\ncompression = \"brotli\"", "unknown compression"),
            ("data = \"/x\"", "cannot be set in"),
            ("= 1", CONFIG_FILE),
        ] {
            let (_folder, flags) = folder(file);
            let error = load(&flags, &[]).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_line_that_is_not_toml_is_not_shown() {
        for file in [
            "[catalog]\nurl = \"mongodb://ada:secret@db/x\nlog = \"info\"\n",
            "[catalog]\nurl = mongodb://ada:secret@db/x\n",
            "[blobs]\nsecret_access_key = \"secret\" \"secret\"\n",
            "[blobs]\nsecret_access_key = \"\\secret\"\n",
            "[blobs]\nregion = \"\"\nsecret_access_key = 'secret\n",
        ] {
            let (_folder, flags) = folder(file);
            let error = format!("{:#}", load(&flags, &[]).expect_err(file));
            assert!(!error.contains("secret@") && !error.contains("\"secret"), "{error}");
            assert!(!error.contains("ada:") && !error.contains("= "), "{error}");
            assert!(error.contains("line 2, column") || error.contains("line 3, column"), "{error}");
        }
    }

    #[test]
    fn c1_every_value_of_the_defaults_reads_back() {
        let (_folder, flags) = folder("");
        let settings = load(&flags, &[]).expect("the defaults");
        let expected = Config { data: flags.data.clone(), ..Config::default() };
        assert_eq!(settings.config, expected);
    }
}

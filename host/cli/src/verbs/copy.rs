use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, anyhow};
use floret_store::{BlobStore, Clock, CopyEvent, CopyOptions, CopyReport, ListQuery, SystemClock};
use indicatif::ProgressBar;
use serde_json::json;

use super::verify;
use crate::config::{Secret, Settings};
use crate::failure::Failure;
use crate::given::usage;
use crate::open;
use crate::out::{Out, bytes, count, plural};
use crate::run::Context;

/// Copy a whole installation to another home, or bring a copy up to date.
///
/// A home is a data folder or a MongoDB URI. Every version goes over as it is, with the contents, what is remembered of
/// builds, the reports of cascades and the access counts; then both are compared, and the copy is verified. Run it again
/// after an interruption, or later: only what is missing is copied. The source is only read, and its hosts may go on
/// writing. The target must be empty, or a copy of the source; no cleanup may run there meanwhile. Configuration files
/// and caches are not copied. Keys and endpoint of an S3 server are those of the configuration.
///
/// A URI with a password does not belong on a command line, which every user of the machine sees: set it as
/// FLORET_CATALOG__URL, with FLORET_BLOBS__URL, or in the configuration, and leave --from or --to out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The home to copy: a data folder or a MongoDB URI [default: the configured home].
    #[arg(long, value_name = "HOME")]
    from: Option<String>,
    /// The home to copy to; a data folder is made if it is missing [default: the configured home].
    #[arg(long, value_name = "HOME")]
    to: Option<String>,
    /// Where the large contents of --from are: s3://BUCKET/PREFIX or file:///FOLDER [default: HOME/blobs; of the
    /// configured home what is configured].
    #[arg(long, value_name = "URL")]
    from_blobs: Option<String>,
    /// Where those of --to are to be [default: as of --from].
    #[arg(long, value_name = "URL")]
    to_blobs: Option<String>,
    /// Only say what would be copied. An empty target is made all the same.
    #[arg(long)]
    dry_run: bool,
    /// Do not read and hash the contents of the copy again: only see that they are there, with the right length.
    #[arg(long)]
    no_rehash: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    if args.from.is_none() && args.to.is_none() {
        return Err(usage(
            "name the other home by --from or --to: the configured one is the default of both",
        ));
    }
    let settings = &context.settings;
    let from = Home::of(args.from.as_deref(), args.from_blobs.as_deref(), "from", settings)?;
    let to = Home::of(args.to.as_deref(), args.to_blobs.as_deref(), "to", settings)?;
    from.check_there()?;
    from.check_apart(&to)?;
    let bar = context.bars.bar(None, "opening");
    let opened = async {
        let from_blobs = from.open(context).await?;
        from.check_filled(&from_blobs).await?;
        Ok::<_, anyhow::Error>((from_blobs, to.open(context).await?))
    }
    .await;
    bar.finish_and_clear();
    let (from_blobs, to_blobs) = opened?;
    let options = CopyOptions { dry_run: args.dry_run, rehash: !args.no_rehash };
    let bar = context.bars.bar(Some(0), "looking for what is missing");
    let shown = Shown { bar: bar.clone(), blob_bytes: AtomicU64::new(0) };
    let copied = tokio::select! {
        copied = floret_store::copy(&from_blobs, &to_blobs, options, |event| shown.show(event)) => {
            copied.map_err(anyhow::Error::from)
        }
        _ = tokio::signal::ctrl_c() => Err(anyhow!(Failure::Interrupted(
            "stopped; what was copied stays. Run it again to go on".to_owned(),
        ))),
    };
    bar.finish_and_clear();
    let report = copied?;
    let sound = report.is_clean();
    let homes = json!({"from": from.to_string(), "to": to.to_string(), "sound": sound, "copy": report});
    context.out.show(&homes, |out| tell(out, &report))?;
    if sound { Ok(()) } else { Err(anyhow!(Failure::Unsound("the copy is not sound".to_owned()))) }
}

/// A home as it was named.
struct Home {
    place: Place,
    blobs: Option<String>,
    /// `from` or `to`.
    flag: &'static str,
}

enum Place {
    Folder(PathBuf),
    Server(Secret),
}

impl Home {
    /// The home of that name, or the one that is configured.
    fn of(name: Option<&str>, blobs: Option<&str>, flag: &'static str, settings: &Settings) -> Result<Self> {
        if let Some(name) = name {
            return Self::named(name, blobs, flag);
        }
        let place = match &settings.config.catalog.url {
            Some(uri) => Place::Server(uri.clone()),
            None => Place::Folder(settings.data.clone()),
        };
        let blobs = blobs.map(str::to_owned).or_else(|| settings.config.blobs.url.clone());
        Self { place, blobs, flag }.with_blobs()
    }

    fn named(home: &str, blobs: Option<&str>, flag: &'static str) -> Result<Self> {
        let blobs = blobs.map(str::to_owned);
        let place = match home.split_once("://") {
            None => Place::Folder(PathBuf::from(home)),
            Some(("mongodb" | "mongodb+srv", _)) => Place::Server(Secret(home.to_owned())),
            Some((scheme, _)) => {
                return Err(usage(format!(
                    "--{flag} begins with {scheme}://: expected a data folder, or a URI that begins with mongodb:// or mongodb+srv://"
                )));
            }
        };
        Self { place, blobs, flag }.with_blobs()
    }

    fn with_blobs(self) -> Result<Self> {
        let flag = self.flag;
        if matches!(self.place, Place::Server(_)) && self.blobs.is_none() {
            return Err(usage(format!(
                "--{flag} is a MongoDB URI: say with --{flag}-blobs where its large contents are"
            )));
        }
        Ok(self)
    }

    /// So that looking at a folder that is none does not make one.
    fn check_there(&self) -> Result<()> {
        match &self.place {
            Place::Folder(folder) if !folder.join(open::CATALOG_FOLDER).is_dir() => Err(usage(format!(
                "--{} names {}, which holds no installation: expected a data folder with a folder `{}` in it",
                self.flag,
                folder.display(),
                open::CATALOG_FOLDER
            ))),
            _ => Ok(()),
        }
    }

    /// A server makes whatever database is named, so that a slip of the pen would be copied as an empty home.
    async fn check_filled(&self, blobs: &BlobStore) -> Result<()> {
        let Place::Server(_) = &self.place else { return Ok(()) };
        let any = ListQuery { limit: 1, ..ListQuery::default() };
        match blobs.catalog().list(&any).await?.is_empty() {
            true => Err(usage(format!("there is nothing in {self}: check the database's name"))),
            false => Ok(()),
        }
    }

    fn check_apart(&self, other: &Self) -> Result<()> {
        if self.catalog_place() == other.catalog_place() {
            return Err(usage(format!("--from and --to are the same home, {self}: name two")));
        }
        if self.blobs_place() == other.blobs_place() {
            return Err(usage(format!(
                "the large contents of --from and --to would be in one place, {}: one home's cleanup would remove the other's",
                self.blobs_place()
            )));
        }
        Ok(())
    }

    fn catalog_place(&self) -> String {
        match &self.place {
            Place::Folder(folder) => real(folder).display().to_string(),
            Place::Server(uri) => server(&uri.0),
        }
    }

    fn blobs_place(&self) -> String {
        match (&self.blobs, &self.place) {
            (None, Place::Folder(folder)) => real(&folder.join(open::BLOBS_FOLDER)).display().to_string(),
            (None, Place::Server(_)) => String::new(),
            (Some(url), _) => match url.strip_prefix("file://") {
                Some(folder) => real(Path::new(folder)).display().to_string(),
                None => url.trim_end_matches('/').to_owned(),
            },
        }
    }

    async fn open(&self, context: &Context) -> Result<BlobStore> {
        let settings = self.settings(&context.settings);
        if let Place::Folder(folder) = &self.place {
            open::make_private(folder)?;
        }
        let catalog = open::catalog(&settings).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        open::blobs(&settings, catalog, clock).await
    }

    fn settings(&self, settings: &Settings) -> Settings {
        match &self.place {
            Place::Folder(folder) => settings.of_home(folder.clone(), None, self.blobs.clone()),
            Place::Server(uri) => {
                settings.of_home(settings.data.clone(), Some(uri.clone()), self.blobs.clone())
            }
        }
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Folder(folder) => write!(f, "{}", folder.display()),
            Place::Server(uri) => write!(f, "{uri}"),
        }
    }
}

/// A folder without detours, as far as it is there.
fn real(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    for known in absolute.ancestors() {
        if let (Ok(real), Ok(rest)) = (known.canonicalize(), absolute.strip_prefix(known)) {
            return real.join(rest);
        }
    }
    absolute
}

/// Servers and database of a URI, without what is secret and what is an option.
fn server(uri: &str) -> String {
    let (_, rest) = uri.split_once("://").unwrap_or(("", uri));
    let (rest, _) = rest.split_once('?').unwrap_or((rest, ""));
    let (_, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts: BTreeSet<&str> = hosts.split(',').collect();
    format!("{}/{database}", hosts.into_iter().collect::<Vec<_>>().join(","))
}

/// The bar of a copy.
struct Shown {
    bar: ProgressBar,
    blob_bytes: AtomicU64,
}

impl Shown {
    fn show(&self, event: CopyEvent) {
        match event {
            CopyEvent::Examined(versions) => self.bar.set_position(versions),
            CopyEvent::Planned { versions, raw_bytes } => {
                self.bar.set_position(0);
                self.bar.set_length(versions);
                self.bar.set_message(format!("copying versions, {} in all", bytes(raw_bytes)));
            }
            CopyEvent::Imported(versions) => self.bar.inc(versions),
            CopyEvent::BlobPut { raw_bytes } => {
                let sum = self.blob_bytes.fetch_add(raw_bytes, Ordering::Relaxed) + raw_bytes;
                self.bar.set_message(format!("copying versions, {} of blobs", bytes(sum)));
            }
            CopyEvent::Remembering => self.bar.set_message("copying builds and reports"),
            CopyEvent::Comparing => self.bar.set_message("comparing"),
            CopyEvent::Verifying => self.bar.set_message("verifying the copy"),
        }
    }
}

fn tell(out: &mut Out, report: &CopyReport) -> Result<()> {
    let of = format!("{} of {}", count(report.versions), plural(report.examined, "version"));
    let raw = bytes(report.raw_bytes);
    let sentence = match report.dry_run {
        true => format!("dry run: {of} would be copied, {raw}"),
        false => format!(
            "copied {of}, {raw}; {} put ({}), {}, {}, {}",
            plural(report.blobs, "blob"),
            bytes(report.blob_bytes),
            plural(report.memos, "build"),
            plural(report.reports, "report"),
            plural(report.accesses, "access count"),
        ),
    };
    let verb = if report.dry_run { "would copy" } else { "copied" };
    let figures = [report.versions, report.examined, report.raw_bytes, report.blobs, report.blob_bytes];
    let fields: Vec<String> =
        [verb.to_owned()].into_iter().chain(figures.iter().map(u64::to_string)).collect();
    out.fact(&sentence, &fields.iter().map(String::as_str).collect::<Vec<_>>())?;
    let Some(verified) = &report.verify else { return Ok(()) };
    let mut same = format!("the same in both: {}", plural(report.equal, "version"));
    for (number, what) in [
        (report.dropped_in_source, "dropped by the source's cleanup only"),
        (report.dropped_in_target, "dropped by the copy's cleanup only"),
        (report.left, "published meanwhile and left to the next copy"),
    ] {
        if number > 0 {
            same += &format!("; {} {what}", count(number));
        }
    }
    out.aside(&same)?;
    verify::checked(out, verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(home: &str, blobs: Option<&str>) -> Result<Home> {
        Home::named(home, blobs, "from")
    }

    #[test]
    fn homes_are_told_apart_whatever_they_are_called() {
        let same = |one: [&str; 2], other: [&str; 2]| {
            let [one, other] = [one, other]
                .map(|[name, blobs]| home(name, Some(blobs).filter(|url| !url.is_empty())).expect("a home"));
            one.check_apart(&other).is_err()
        };
        let here = ["here", ""];
        assert!(same(here, ["./here/", ""]));
        assert!(!same(here, ["there", ""]));
        assert!(same(here, ["there", &format!("file://{}/here/blobs/", cwd())]), "one place for contents");
        assert!(same(["here", "s3://b/one"], ["there", "s3://b/one/"]), "one place for contents");
        let (one, other) = ("mongodb://ada:pa@ss@a:1,b:2/x?w=1", "mongodb://b:2,a:1/x");
        assert!(same([one, "s3://b/one"], [other, "s3://b/two"]), "one database");
        assert!(!same([one, "s3://b/one"], ["mongodb://a:1,b:2/y", "s3://b/two"]));
    }

    fn cwd() -> String {
        std::env::current_dir().expect("a folder").display().to_string()
    }

    #[test]
    fn what_is_no_home_is_refused_with_what_is_expected() {
        for (name, blobs, expected) in [
            ("s3://bucket/x", None, "expected a data folder"),
            ("mongodb://ada:secret@db/x", None, "--from-blobs"),
        ] {
            let error = home(name, blobs).err().expect(name).to_string();
            assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let empty = home(&folder.path().display().to_string(), None).expect("a folder");
        let error = empty.check_there().expect_err("it is empty").to_string();
        assert!(error.contains("holds no installation"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0, "nor is it made one");
    }
}

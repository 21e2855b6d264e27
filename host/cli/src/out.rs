//! What goes to standard output and standard error, and in which form.

mod table;

use std::io::{self, IsTerminal, Read, Write};

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

pub(crate) use floret_show::{bytes, count, milliseconds, percent, plural};
pub(crate) use table::{Cell, Table};

/// When to colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// In which form results are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// One JSON document, see JSON.md.
    Json,
    /// Tables, units and colour.
    People,
    /// Tab-separated lines without headings and units.
    Plain,
}

/// A colour or weight by its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tone {
    Plain,
    Heading,
    Faint,
    Good,
    Notable,
    Bad,
    Name,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Heading => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Notable => "33",
            Self::Bad => "31",
            Self::Name => "36",
        }
    }

    /// The text in this tone.
    pub(crate) fn paint(self, text: &str, color: bool) -> String {
        match (color, self.code()) {
            (false, _) | (_, "") => text.to_owned(),
            (true, code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// The two streams of a command.
pub(crate) struct Out {
    form: Form,
    color: bool,
    quiet: bool,
    stdout: io::Stdout,
}

impl Out {
    /// Streams as the command line and the terminal say.
    pub(crate) fn new(json: bool, color: ColorChoice, quiet: bool) -> Self {
        let stdout = io::stdout();
        let form = match (json, stdout.is_terminal()) {
            (true, _) => Form::Json,
            (false, true) => Form::People,
            (false, false) => Form::Plain,
        };
        let color = paints(color, stdout.is_terminal());
        // Who asks for colour reads it.
        let form = if form == Form::Plain && color { Form::People } else { form };
        Self { form, color: color && form == Form::People, quiet, stdout }
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Write for people even without a terminal: the demo is a story.
    pub(crate) fn tell(&mut self) {
        if self.form == Form::Plain {
            self.form = Form::People;
        }
    }

    /// Write the JSON document, or else what `otherwise` writes.
    pub(crate) fn show<T: Serialize>(
        &mut self,
        document: &T,
        otherwise: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if self.form != Form::Json {
            return otherwise(self);
        }
        let text = match self.stdout.is_terminal() {
            true => serde_json::to_string_pretty(document)?,
            false => serde_json::to_string(document)?,
        };
        self.line(&text)
    }

    /// One line.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        let mut stdout = self.stdout.lock();
        stdout.write_all(text.as_bytes())?;
        stdout.write_all(b"\n")?;
        Ok(())
    }

    /// A sentence for people, or the same facts as tab-separated fields.
    pub(crate) fn fact(&mut self, sentence: &str, fields: &[&str]) -> Result<()> {
        match self.form {
            Form::Plain => self.line(&fields.join("\t")),
            Form::People if self.quiet => Ok(()),
            Form::People => self.line(sentence),
            Form::Json => Ok(()),
        }
    }

    /// A line that only people get.
    pub(crate) fn aside(&mut self, text: &str) -> Result<()> {
        match self.form {
            Form::People if !self.quiet => self.line(text),
            _ => Ok(()),
        }
    }

    /// A table.
    pub(crate) fn table(&mut self, table: &Table) -> Result<()> {
        let text = match self.form {
            Form::Plain => table.plain(),
            _ => table.people(self.color),
        };
        if text.is_empty() { Ok(()) } else { self.line(&text) }
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, mut bytes: impl Read) -> Result<()> {
        let mut stdout = self.stdout.lock();
        io::copy(&mut bytes, &mut stdout)?;
        stdout.flush()?;
        Ok(())
    }

    /// A remark on standard error, for people.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && self.form != Form::Json {
            let painted = Tone::Notable.paint("note:", paints_stderr(self.color));
            // Nobody is there to be told that standard error is closed.
            let _ = writeln!(io::stderr(), "{painted} {text}");
        }
    }

    /// The text in a tone, where there is colour.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        tone.paint(text, self.color)
    }
}

fn paints(choice: ColorChoice, terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
            terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

fn paints_stderr(color: bool) -> bool {
    color && io::stderr().is_terminal()
}

/// The error, as people or programs read it. Standard error may be closed: then nobody is told.
pub(crate) fn print_error(code: &str, message: &str, json: bool, color: ColorChoice) {
    let text = match json {
        true => serde_json::json!({"error": {"code": code, "message": message}}).to_string(),
        false => {
            let label = Tone::Bad.paint("error:", paints(color, io::stderr().is_terminal()));
            let code = Tone::Faint.paint(&format!("[{code}]"), paints(color, io::stderr().is_terminal()));
            format!("{label} {message} {code}")
        }
    };
    let _ = writeln!(io::stderr(), "{text}");
}

use std::path::PathBuf;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use floret_model::{CorpusType, ResourceKey};
use floret_pipeline::{CorpusRequest, CorpusTree, Selector};
use floret_store::ListQuery;
use serde_json::Value;

use crate::given::{self, usage};
use crate::out::{Out, Tone, plural};
use crate::remote::Home;
use crate::report;
use crate::run::Context;

/// Texts that a prefix may stand for.
const PREFIX_MAX: usize = 100_000;

/// Create corpora, add to them, look at their tree.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Create(Create),
    Add(Add),
    Tree(Tree),
}

/// Create a corpus of texts and child corpora, or give an existing one other inputs.
///
/// Whatever depends on it is rebuilt; all of it is published in one commit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret corpus create corpus/lincoln --text literature/lincoln-1861 --text literature/lincoln-1862
  floret corpus create corpus/lincoln --texts literature/lincoln-
  floret corpus create corpus/presidents --child corpus/lincoln --child corpus/grant --type literature")]
pub(crate) struct Create {
    /// Which corpus.
    #[arg(value_name = "corpus/ID")]
    key: ResourceKey,
    #[command(flatten)]
    inputs: Inputs,
    /// What sort of corpus [default: composite if it has children and no texts, else base].
    #[arg(long = "type", value_name = "SORT")]
    sort: Option<Sort>,
    /// Its dialect or region, e.g. en-US.
    #[arg(long)]
    dialect: Option<String>,
    /// A member of the builder's configuration, e.g. language=de, min_count=2.
    #[arg(long = "set", value_name = "NAME=JSON", value_parser = given::pair)]
    set: Vec<(String, Value)>,
    /// The builder's configuration, a file with a JSON object.
    #[arg(long, value_name = "FILE")]
    set_file: Option<PathBuf>,
}

/// What a corpus is made from.
#[derive(Debug, clap::Args)]
struct Inputs {
    /// A text.
    #[arg(long = "text", value_name = "literature/ID")]
    texts: Vec<ResourceKey>,
    /// Every text whose id begins so, as of now.
    #[arg(long = "texts", value_name = "literature/PREFIX")]
    prefixes: Vec<ResourceKey>,
    /// A child corpus.
    #[arg(long = "child", value_name = "corpus/ID")]
    children: Vec<ResourceKey>,
}

/// Add texts and child corpora to a corpus. Those that it has are passed over.
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// Which corpus.
    #[arg(value_name = "corpus/ID")]
    key: ResourceKey,
    #[command(flatten)]
    inputs: Inputs,
}

/// Show a corpus with its children, down to its texts.
#[derive(Debug, clap::Args)]
pub(crate) struct Tree {
    /// Which corpus.
    #[arg(value_name = "corpus/ID")]
    key: ResourceKey,
    /// As of which version: latest, a seq, or a version.
    #[arg(long, default_value = "latest", value_parser = super::get::selector)]
    version: Selector,
    /// Show the texts too.
    #[arg(long)]
    texts: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    Base,
    Language,
    Literature,
    Composite,
}

pub(crate) async fn run(verb: Verb, context: &mut Context) -> Result<()> {
    match verb {
        Verb::Create(args) => create(args, context).await,
        Verb::Add(args) => add(args, context).await,
        Verb::Tree(args) => tree(args, context).await,
    }
}

async fn create(args: Create, context: &mut Context) -> Result<()> {
    let config = given::config(args.set_file.as_deref(), &args.set)?;
    context
        .with_home(async |home, out, bars| {
            let documents = texts(home, &args.inputs).await?;
            let corpus_type = match args.sort {
                Some(Sort::Base) => CorpusType::Base,
                Some(Sort::Language) => CorpusType::Language,
                Some(Sort::Literature) => CorpusType::Literature,
                Some(Sort::Composite) => CorpusType::Composite,
                None if documents.is_empty() && !args.inputs.children.is_empty() => CorpusType::Composite,
                None => CorpusType::Base,
            };
            let children = args.inputs.children.clone();
            let request =
                CorpusRequest { documents, children, corpus_type, dialect: args.dialect.clone(), config };
            let work = async |work: &_| home.corpus_create(&args.key, request, work).await;
            let report = bars.cascade(work).await?;
            out.show(&report, |out| report::show(out, &report))
        })
        .await
}

async fn add(args: Add, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, bars| {
            let documents = texts(home, &args.inputs).await?;
            let children = &args.inputs.children;
            if documents.is_empty() && children.is_empty() {
                return Err(usage("nothing to add: expected --text, --texts or --child"));
            }
            let work = async |work: &_| home.corpus_add(&args.key, &documents, children, work).await;
            let report = bars.cascade(work).await?;
            out.show(&report, |out| report::show(out, &report))
        })
        .await
}

/// The texts named, one by one or by prefix.
async fn texts(home: Home<'_>, inputs: &Inputs) -> Result<Vec<ResourceKey>> {
    let mut texts = inputs.texts.clone();
    for prefix in &inputs.prefixes {
        let query = ListQuery {
            namespace: Some(prefix.namespace.clone()),
            resource_type: Some(prefix.resource_type.clone()),
            id_prefix: Some(prefix.resource_id.to_string()),
            after: None,
            limit: PREFIX_MAX,
        };
        let found = home.list(&query).await?;
        if found.is_empty() {
            let what = format!("a text that begins with {prefix}");
            return Err(floret_pipeline::Error::NotFound { what, hint: None }.into());
        }
        let new = found.iter().map(|version| version.key.clone()).filter(|key| !texts.contains(key));
        let new: Vec<ResourceKey> = new.collect();
        texts.extend(new);
    }
    Ok(texts)
}

async fn tree(args: Tree, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, _| {
            let tree = home.corpus_tree(&args.key, &args.version).await?;
            out.show(&tree, |out| draw(out, &tree, &mut Vec::new(), args.texts))
        })
        .await
}

/// A line for a corpus and those below it; `last` says of each level above whether it was the last there.
fn draw(out: &mut Out, tree: &CorpusTree, last: &mut Vec<bool>, texts: bool) -> Result<()> {
    let name = out.paint(Tone::Name, &tree.version.to_string());
    let figures = format!(
        "{}, {}, {}",
        plural(tree.vocabulary_size, "word"),
        plural(tree.total_tokens, "token"),
        plural(tree.documents.len() as u64, "text"),
    );
    let sentence = format!("{}{name}  {}", branch(last), out.paint(Tone::Faint, &figures));
    let fields = [
        last.len().to_string(),
        tree.version.to_string(),
        tree.vocabulary_size.to_string(),
        tree.total_tokens.to_string(),
        tree.documents.len().to_string(),
    ];
    out.fact(&sentence, &fields.each_ref().map(String::as_str))?;
    let documents: &[_] = if texts { &tree.documents } else { &[] };
    let all = documents.len() + tree.children.len();
    for (index, document) in documents.iter().enumerate() {
        last.push(index + 1 == all);
        out.fact(&format!("{}{document}", branch(last)), &[&last.len().to_string(), &document.to_string()])?;
        last.pop();
    }
    for (index, child) in tree.children.iter().enumerate() {
        last.push(documents.len() + index + 1 == all);
        draw(out, child, last, texts)?;
        last.pop();
    }
    Ok(())
}

fn branch(last: &[bool]) -> String {
    let Some((own, above)) = last.split_last() else { return String::new() };
    let mut text: String = above.iter().map(|last| if *last { "   " } else { "│  " }).collect();
    text.push_str(if *own { "└─ " } else { "├─ " });
    text
}

#[cfg(test)]
mod tests {
    use super::branch;

    #[test]
    fn t7_branches_are_drawn() {
        assert_eq!(branch(&[]), "");
        assert_eq!(branch(&[false]), "├─ ");
        assert_eq!(branch(&[false, true]), "│  └─ ");
        assert_eq!(branch(&[true, false]), "   ├─ ");
    }
}

//! How to build a component without an import, told in the language that it was built from: this only words an error.

use wasmparser::{KnownCustom, Parser, Payload};

/// What a component was built from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Language {
    // In the order of how much a mark tells: Rust's own libraries hold some C.
    Rust,
    C,
    Python,
    JavaScript,
}

/// Names of the runtimes that Python's and JavaScript's tools put into a component, found anywhere in its bytes. The
/// `producers` sections do not do: those tools leave what the runtimes were built from, which is Rust and C.
const RUNTIMES: [(&str, Language); 6] = [
    ("componentize_py", Language::Python),
    ("componentize-py", Language::Python),
    ("componentize_qjs", Language::JavaScript),
    ("componentize-qjs", Language::JavaScript),
    ("StarlingMonkey", Language::JavaScript),
    ("ComponentizeJS", Language::JavaScript),
];

/// What to do about imports that no plugin is given.
pub(crate) fn remedy(component: &[u8]) -> String {
    let advice = |language| match language {
        Language::Python => {
            "componentize with `-s` (`--stub-wasi`) and leave out modules that use the network"
        }
        Language::JavaScript => {
            "with componentize-js pass `disableFeatures: ['http', 'fetch-event']` (with jco `--disable http \
             --disable fetch-event`), with componentize-qjs `--backend-qjs-stub-wasi`"
        }
        Language::Rust => {
            "build for wasm32-unknown-unknown, which imports nothing of a system, and look with `cargo tree` for \
             the crate that imports it"
        }
        Language::C => "link as a reactor (`-mexec-model=reactor`) and leave out the library that imports it",
    };
    match language(component) {
        Some(language) => format!("it was built from {language:?}: {}", advice(language)),
        None => {
            let all = [Language::Rust, Language::Python, Language::JavaScript, Language::C];
            let all = all.map(|language| format!("in {language:?}, {}", advice(language)));
            format!("build it without them: {}", all.join("; "))
        }
    }
}

/// The language of a component: by the runtime within it, else by `producers` sections.
fn language(component: &[u8]) -> Option<Language> {
    let holds = |mark: &str| component.windows(mark.len()).any(|window| window == mark.as_bytes());
    let runtime = RUNTIMES.iter().find(|(mark, _)| holds(mark)).map(|(_, language)| *language);
    runtime.or_else(|| produced(component))
}

/// The language that the `producers` sections of a component, and of all that it holds, tell. A damaged section tells
/// nothing.
fn produced(component: &[u8]) -> Option<Language> {
    let mut found: Option<Language> = None;
    for payload in Parser::new(0).parse_all(component) {
        let Payload::CustomSection(section) = payload.ok()? else {
            continue;
        };
        let KnownCustom::Producers(fields) = section.as_known() else {
            continue;
        };
        for field in fields.into_iter().flatten() {
            let names = field.values.into_iter().flatten().map(|value| value.name);
            let marked = names.filter_map(|name| match name.to_ascii_lowercase().as_str() {
                "rust" | "rustc" => Some(Language::Rust),
                name if name == "clang" || name.ends_with(" clang") => Some(Language::C),
                "c99" | "c11" | "c17" => Some(Language::C),
                name if name.starts_with("c_plus_plus") => Some(Language::C),
                _ => None,
            });
            found = found.into_iter().chain(marked).min();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with a `producers` section within a module within it.
    fn built_with(field: &str, tool: &str) -> Vec<u8> {
        let escaped = |text: &str| text.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>();
        let len = |text: &str| format!("\\{:02x}", text.len());
        let section =
            format!("\\01{}{}\\01{}{}\\01\\31", len(field), escaped(field), len(tool), escaped(tool));
        wat::parse_str(format!(r#"(component (core module (@custom "producers" "{section}")))"#))
            .expect("a component")
    }

    #[test]
    fn the_remedy_is_told_in_the_components_language() {
        let check = |field: &str, tool: &str, expected: &str| {
            let remedy = remedy(&built_with(field, tool));
            assert!(remedy.contains(expected), "{tool}: {remedy:?} does not tell {expected:?}");
        };
        check("processed-by", "componentize-py", "componentize with `-s`");
        check("processed-by", "ComponentizeJS", "disableFeatures");
        check("language", "Rust", "built from Rust: build for wasm32-unknown-unknown");
        check("language", "C11", "built from C: link as a reactor");
        check("processed-by", "Debian clang", "built from C: ");
        check("language", "Zig", "in Python, componentize with `-s`");
        check("language", "Zig", "in C, link as a reactor");
    }

    #[test]
    fn damage_is_no_language() {
        assert_eq!(language(b"\0asm\r\0\x01\0\0\xff\xff\xff\xff\xff"), None);
    }
}

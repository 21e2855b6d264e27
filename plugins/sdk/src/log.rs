//! Saying something to the people who run the host. Never part of a result.
//!
//! Natively (in tests) the lines go to standard error.

/// Log at a level with `format!` arguments: `log!(Warn, "skipped {n} words")`.
#[macro_export]
macro_rules! log {
    ($level:ident, $($argument:tt)+) => {
        $crate::log::write($crate::log::Level::$level, &::std::format!($($argument)+))
    };
}

pub use crate::bindings::log::Level;

/// Log one line with the host, which adds the component's name and the job. Lines over 4 KiB are cut there.
pub fn write(level: Level, message: &str) {
    if cfg!(target_arch = "wasm32") {
        crate::bindings::log::log(level, message);
    } else {
        eprintln!("{level:?}: {message}");
    }
}

/// Make a panic say what and where before it traps. Every exported call does this first; doing it again is
/// cheap.
pub fn install_panic_hook() {
    #[cfg(target_arch = "wasm32")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|panic| {
                let place = panic.location().map(|at| format!("{}:{}:{}", at.file(), at.line(), at.column()));
                let text = panic.payload_as_str().unwrap_or("a panic without a text");
                write(
                    Level::Error,
                    &format!("panicked at {}: {text}", place.as_deref().unwrap_or("an unknown place")),
                );
            }));
        });
    }
}

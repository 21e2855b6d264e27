//! Names of errors for programs.

/// Gives an error enum the stable code of each of its variants: `code()`, and `CODES` with all of them. A variant without
/// a code does not compile. What each means to people stands in `docs/errors.md`.
///
/// A code once released keeps its name and its meaning. Variants that hold another error with codes of its own are listed
/// behind `through` and have that one's.
///
/// ```
/// enum Error {
///     Absent,
///     Taken { by: u32 },
/// }
/// floret_model::error_codes!(Error { Absent => "absent", Taken => "taken" });
/// assert_eq!(Error::Taken { by: 1 }.code(), "taken");
/// assert_eq!(Error::CODES, ["absent", "taken"]);
/// # let _ = Error::Absent;
/// ```
#[macro_export]
macro_rules! error_codes {
    ($error:ident { $($variant:ident => $code:literal),+ $(,)? } $(through { $($through:ident),+ $(,)? })?) => {
        impl $error {
            /// Every code that an error of this kind itself has, in the order of the variants; some have the same.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// Its stable name for programs, e.g. `not_found`; `docs/errors.md` says what each means.
            pub fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)+
                    $($(Self::$through(error) => error.code(),)+)?
                }
            }
        }
    };
}

//! Enumerations whose values have names in the configuration.

/// An enumeration whose values have names in the configuration.
pub trait Word: Copy + 'static {
    /// Every value, in the order in which messages list them.
    const ALL: &'static [Self];
    /// The name of this value.
    fn word(self) -> &'static str;
}

/// Implements [`Word`] and `Display` with each name stated once; the `match` makes the compiler
/// ask for a value that has no name.
macro_rules! words {
    ($type:ident: $($value:ident = $word:literal),+ $(,)?) => {
        impl $crate::config::Word for $type {
            const ALL: &'static [Self] = &[$($type::$value),+];
            fn word(self) -> &'static str {
                match self {
                    $($type::$value => $word),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::config::Word::word(*self))
            }
        }
    };
}
pub(in crate::config) use words;

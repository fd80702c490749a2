//! What is made of the table: the enum, its sentences and hints, its codes.

macro_rules! errors {
    ($(
        $(#[$doc:meta])*
        $name:ident $({ $($field:ident : $type:ty),+ $(,)? })? = $exit:ident $code:literal
            $sentence:literal
            => $hint:literal;
    )+) => {
        /// Any failure of the program. See [`Error::report`].
        #[derive(Debug, Clone)]
        #[allow(missing_docs, reason = "the sentence of each variant names its fields")]
        pub enum Error {
            $( $(#[$doc])* $name $({ $($field: $type),+ })? ),+
        }

        impl Error {
            /// As the table has it.
            fn tabled(&self) -> ErrorReport {
                match self {
                    $( Self::$name $({ $($field),+ })? => ErrorReport {
                        code: self.code(),
                        exit: self.exit(),
                        // A field may serve one of the two alone; naming it here keeps the table free of noise.
                        sentence: {
                            $($( let $field = $field.in_one_line(); let _ = &$field; )+)?
                            format!($sentence)
                        },
                        hint: {
                            $($( let $field = $field.in_hint(stringify!($field)); let _ = &$field; )+)?
                            format!($hint)
                        },
                    } ),+
                }
            }

            /// Stable code, such as `keychain_locked`.
            #[must_use]
            pub fn code(&self) -> &'static str {
                match self { $( Self::$name { .. } => $code ),+ }
            }

            /// Exit code of the process.
            #[must_use]
            pub fn exit(&self) -> ExitCode {
                match self { $( Self::$name { .. } => ExitCode::$exit ),+ }
            }

            /// Every string code with its exit code, in the order of the table.
            pub const CODES: &'static [(&'static str, ExitCode)] = &[$( ($code, ExitCode::$exit) ),+];

            /// What goes with each of [`CODES`](Self::CODES), in the same order: sentence and hint, with the names of
            /// what varies in braces.
            pub const TEXTS: &'static [(&'static str, &'static str)] = &[$( ($sentence, $hint) ),+];

            #[cfg(test)]
            pub(crate) fn samples() -> Vec<Self> {
                vec![$( Self::$name $({ $($field: tests::Sample::sample(stringify!($field))),+ })? ),+]
            }
        }

        impl std::error::Error for Error {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    $( Self::$name $({ $($field),+ })? => None$($(.or(ErrorField::source($field)))+)? ),+
                }
            }
        }
    };
}
pub(super) use errors;

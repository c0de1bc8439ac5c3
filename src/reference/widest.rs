//! Loops that are compiled for several sets of instructions, of which the processor's widest one
//! runs.

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

/// A set of instructions that loops are compiled for.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    /// The instructions that every processor of the architecture has.
    Base,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 with its extensions for bytes, doubles and short vectors.
    Avx512,
}

#[cfg(target_arch = "x86_64")]
impl Set {
    /// The widest set that the processor has.
    pub(crate) fn of_processor() -> Set {
        static FOUND: LazyLock<Set> = LazyLock::new(Set::look);
        *FOUND
    }

    fn look() -> Set {
        let has_512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if has_512 {
            Set::Avx512
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            Set::Avx2
        } else {
            Set::Base
        }
    }
}

/// Defines a function that is compiled for each set of instructions. What it calls has to be inlined
/// to be compiled with it.
macro_rules! widest {
    ($(#[$doc:meta])* $visible:vis fn $name:ident$(<$number:ident: $bound:ident>)?(
        $($argument:ident: $type:ty),* $(,)?
    ) $(-> $result:ty)? $body:block) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        $visible fn $name$(<$number: $bound>)?($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn base$(<$number: $bound>)?($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2$(<$number: $bound>)?($($argument: $type),*) $(-> $result)? {
                base($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512$(<$number: $bound>)?($($argument: $type),*) $(-> $result)? {
                base($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            {
                use $crate::reference::widest::Set;
                match Set::of_processor() {
                    // SAFETY: the processor has these instructions.
                    Set::Avx512 => return unsafe { avx512($($argument),*) },
                    // SAFETY: likewise.
                    Set::Avx2 => return unsafe { avx2($($argument),*) },
                    Set::Base => {}
                }
            }
            base($($argument),*)
        }
    };
}

pub(crate) use widest;

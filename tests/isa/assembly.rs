//! Loops in the assembly that the compiler prints.

/// A loop, without the loops that it contains.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loop {
    /// Number of its instructions.
    pub instructions: usize,
    /// Number of its multiply-adds.
    pub multiply_adds: usize,
}

impl Loop {
    /// The part of its instructions that multiply and add.
    pub fn share(&self) -> f64 {
        self.multiply_adds as f64 / self.instructions.max(1) as f64
    }
}

/// The loop of an assembly with the most multiply-adds of its own. A loop ends with a branch to a
/// label above it.
pub fn densest(assembly: &str) -> Loop {
    let lines: Vec<&str> = assembly.lines().map(str::trim).collect();
    let label =
        |line: &str| line.strip_suffix(':').filter(|l| l.starts_with("BB")).map(String::from);
    let place = |name: &str| lines.iter().position(|l| label(l).is_some_and(|l| l == name));
    let ends = lines.iter().enumerate().filter_map(|(end, line)| {
        let target = branch(line)?;
        place(target).filter(|first| *first < end).map(|first| (first, end))
    });
    let loops: Vec<(usize, usize)> = ends.collect();
    let body = |(first, end): &(usize, usize)| {
        let within = |(f, e): &&(usize, usize)| (f, e) != (first, end) && first <= f && e <= end;
        let inner: Vec<_> = loops.iter().filter(within).collect();
        let is_own = |place: &usize| !inner.iter().any(|(f, e)| (*f..=*e).contains(place));
        let mut found = Loop::default();
        for name in (*first..=*end).filter(is_own).filter_map(|place| mnemonic(lines[place])) {
            found.instructions += 1;
            found.multiply_adds += usize::from(is_multiply_add(name));
        }
        found
    };
    loops.iter().map(body).max_by_key(|l| l.multiply_adds).unwrap_or_default()
}

/// The label that a line branches to.
fn branch(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.next().filter(|word| word.starts_with("s_cbranch") || *word == "s_branch")?;
    words.next().filter(|label| label.starts_with("BB"))
}

/// The name of the instruction of a line; `None` for labels, constants and empty lines.
fn mnemonic(line: &str) -> Option<&str> {
    let word = line.split_whitespace().next()?;
    let is_instruction = ["s_", "v_", "ds_", "buffer_", "global_", "image_", "scratch_", "flat_"]
        .iter()
        .any(|start| word.starts_with(start));
    is_instruction.then_some(word)
}

/// Tells multiply-adds by the beginning of their names.
fn is_multiply_add(name: &str) -> bool {
    ["v_fma", "v_mad", "v_pk_fma", "v_dot2"].iter().any(|start| name.starts_with(start))
}

#[test]
fn loops_are_counted_without_those_that_they_contain() {
    let text = "BB0:\n\ts_mov_b32 s0, 0\nBB1:\n\tv_add_f32 v0, v1, v2\nBB2:\n\tv_fmac_f32_e32 v0, \
                v1, v2 ; 5600\n\tv_mul_f32 v0, v1, v2\n\ts_cbranch_scc1 BB2\n\ts_cbranch_scc0 \
                BB1\n\ts_endpgm\n";
    assert_eq!(densest(text), Loop { instructions: 3, multiply_adds: 1 });
    let outer = text.replace("v_add_f32 v0, v1, v2", "v_fma_f32 v0, v1, v2, v0\n\tv_fma_f32 v0");
    assert_eq!(densest(&outer), Loop { instructions: 3, multiply_adds: 2 });
    assert_eq!(densest("BB0:\n\ts_endpgm"), Loop::default());
}

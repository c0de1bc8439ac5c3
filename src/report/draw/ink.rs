//! The colours of pictures and pages: for light paper, for dark paper, and as variables of CSS.

use plotters::style::RGBColor;

/// A colour by its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Text.
    Text,
    /// Text of less weight, and axes.
    Muted,
    /// Lines of a grid.
    Grid,
    /// Paper.
    Paper,
    /// One of the colours of series and cells; numbers beyond the last begin anew.
    Series(usize),
    /// One of the colours from the worst, 0, to the best; numbers beyond the last are the best.
    Rank(usize),
}

/// A colour: its variable, and its values for light and dark paper.
struct Paint(&'static str, u32, u32);

/// The colours that are no series. Text has a contrast of at least 4.5 : 1 with the paper.
const PLAIN: [Paint; 4] = [
    Paint("--text", 0x1b1f24, 0xe6e8eb),
    Paint("--muted", 0x57606a, 0xa3acb6),
    Paint("--grid", 0xd8dee4, 0x343b44),
    Paint("--paper", 0xffffff, 0x14171b),
];

/// The colours of series, each with a contrast of at least 3 : 1 with the paper.
const SERIES: [Paint; 8] = [
    Paint("--s0", 0x1f5fbf, 0x7fb2ff),
    Paint("--s1", 0xb84a00, 0xffa65c),
    Paint("--s2", 0x1a7a3c, 0x6fd08c),
    Paint("--s3", 0x7a3fb0, 0xc9a0ff),
    Paint("--s4", 0xb3261e, 0xff8f85),
    Paint("--s5", 0x0b7a85, 0x5fd0dc),
    Paint("--s6", 0x7a5a12, 0xd9b75c),
    Paint("--s7", 0x5f6670, 0xaeb6c0),
];

/// The colours from the worst to the best, each with a contrast of at least 3 : 1 with the paper,
/// which grows from one to the next, so that they keep their order without their hues: equal steps
/// of lightness and hue in OKLCH, from amber to blue.
const RANKS: [Paint; 9] = [
    Paint("--r0", 0xc58501, 0x8c5e02),
    Paint("--r1", 0xc46a22, 0xa95b1d),
    Paint("--r2", 0xba513d, 0xc26350),
    Paint("--r3", 0xa83e53, 0xd3707f),
    Paint("--r4", 0x903165, 0xdd81ae),
    Paint("--r5", 0x732871, 0xe096db),
    Paint("--r6", 0x532277, 0xd9b1fe),
    Paint("--r7", 0x321d74, 0xd2d1fd),
    Paint("--r8", 0x051969, 0xdde8ff),
];

/// Number of colours of series.
pub const COLOURS: usize = SERIES.len();
/// Number of colours from the worst to the best.
pub const GRADES: usize = RANKS.len();

fn paints() -> impl Iterator<Item = &'static Paint> {
    PLAIN.iter().chain(&SERIES).chain(&RANKS)
}

impl Ink {
    fn paint(self) -> &'static Paint {
        match self {
            Ink::Text => &PLAIN[0],
            Ink::Muted => &PLAIN[1],
            Ink::Grid => &PLAIN[2],
            Ink::Paper => &PLAIN[3],
            Ink::Series(number) => &SERIES[number % COLOURS],
            Ink::Rank(number) => &RANKS[number.min(GRADES - 1)],
        }
    }

    /// The colour on light paper.
    pub fn light(self) -> RGBColor {
        let [_, red, green, blue] = self.paint().1.to_be_bytes();
        RGBColor(red, green, blue)
    }
}

/// The declarations of the variables, for light or for dark paper.
pub fn variables(is_dark: bool) -> String {
    let value = |paint: &Paint| if is_dark { paint.2 } else { paint.1 };
    paints().map(|paint| format!("{}:#{:06x};", paint.0, value(paint))).collect()
}

/// An SVG text whose colours are variables instead of those of light paper.
pub fn with_variables(svg: &str) -> String {
    paints().fold(svg.to_owned(), |svg, Paint(name, light, _)| {
        svg.replace(&format!("\"#{light:06X}\""), &format!("\"var({name})\""))
    })
}

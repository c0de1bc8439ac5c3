//! A measured curve as a picture: in characters for a terminal, as SVG for a file, with equal axes.

/// Columns of the plot, in characters.
const COLUMNS: usize = 64;
/// Lines of the plot, in characters.
const LINES: usize = 16;
/// Width and height of the SVG, in its units.
const SIZE: [f64; 2] = [720.0, 460.0];
/// The left, top, right and bottom edges of the plot in the SVG.
const FRAME: [f64; 4] = [76.0, 104.0, 696.0, 404.0];
/// Number of straight pieces of the fitted line in the SVG.
const PIECES: usize = 96;

/// Points, with the straight line that was fitted to them.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The title: what was measured, and where.
    pub title: String,
    /// Lines of text about what all points have in common.
    pub notes: Vec<String>,
    /// The name of the horizontal axis, with its unit.
    pub x: String,
    /// The name of the vertical axis, with its unit.
    pub y: String,
    /// The points [x, y]: at least two, by ascending x; x and y are positive.
    pub points: Vec<[f64; 2]>,
    /// Intercept and slope of the line.
    pub line: [f64; 2],
    /// The line, as text for the legend.
    pub fitted: String,
}

/// An axis: how numbers become places from 0 to 1.
struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    /// A linear axis from 0 to a little beyond the largest number.
    fn linear(high: f64) -> Scale {
        Scale { low: 0.0, high: 1.05 * high, log: false }
    }

    /// A logarithmic axis with a little room on either side. It spans at least a factor of `least`,
    /// so that a flat curve looks flat.
    fn log(low: f64, high: f64, least: f64) -> Scale {
        let (middle, half) = ((low * high).sqrt(), (high / low).max(least).sqrt().powf(1.08));
        Scale { low: middle / half, high: middle * half, log: true }
    }

    /// The place of a number.
    fn place(&self, value: f64) -> f64 {
        if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// The number at a place.
    fn value(&self, place: f64) -> f64 {
        if self.log {
            self.low * (self.high / self.low).powf(place)
        } else {
            self.low + place * (self.high - self.low)
        }
    }

    fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Round numbers on the axis: on a logarithmic one powers of ten if there are at least three,
    /// else 1, 2 and 5 times powers of ten; else numbers at equal distances.
    fn ticks(&self) -> Vec<f64> {
        let powers = |factors: &[f64]| -> Vec<f64> {
            let exponent = |v: f64| (v.log10().floor() as i32).clamp(-300, 300);
            let decades = exponent(self.low)..=exponent(self.high);
            decades
                .flat_map(|e| factors.iter().map(move |f| f * 10f64.powi(e)))
                .filter(|v| self.holds(*v))
                .collect()
        };
        let choices =
            if self.log { vec![powers(&[1.0]), powers(&[1.0, 2.0, 5.0])] } else { Vec::new() };
        choices.into_iter().find(|ticks| ticks.len() >= 3).unwrap_or_else(|| self.even_ticks())
    }

    fn even_ticks(&self) -> Vec<f64> {
        let wish = (self.high - self.low) / 5.0;
        let unit = 10f64.powf(wish.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|f| f * unit)
            .into_iter()
            .find(|step| *step >= 0.75 * wish)
            .unwrap_or(wish);
        let (first, last) = ((self.low / step).ceil() as u64, (self.high / step).floor() as u64);
        (first..=last).map(|k| k as f64 * step).collect()
    }
}

/// A number rounded to at most `digits` significant digits.
pub fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits.max(1) - 1).parse().unwrap_or(value)
}

/// The places of ticks with their texts.
fn labelled(scale: &Scale, ticks: &[f64]) -> Vec<(f64, String)> {
    ticks.iter().map(|v| (scale.place(*v), rounded(*v, 6).to_string())).collect()
}

/// The line or column, of `count`, that holds a place.
fn cell(place: f64, count: usize) -> usize {
    (place * (count - 1) as f64).round() as usize
}

impl Chart {
    /// Whether both axes are logarithmic: they are where x spans more than a factor of 8.
    pub fn is_log(&self) -> bool {
        let [low, high] = self.span(0);
        high > 8.0 * low
    }

    /// The smallest and the largest x (`i` = 0) or y (`i` = 1).
    fn span(&self, i: usize) -> [f64; 2] {
        let of = |choose: fn(f64, f64) -> f64, start: f64| {
            self.points.iter().map(|p| p[i]).fold(start, choose)
        };
        [of(f64::min, f64::INFINITY), of(f64::max, 0.0)]
    }

    /// The horizontal and the vertical axis.
    fn scales(&self) -> [Scale; 2] {
        let ([left, right], [low, high]) = (self.span(0), self.span(1));
        if self.is_log() {
            [Scale::log(left, right, 1.0), Scale::log(low, high, 4.0)]
        } else {
            [right, high].map(Scale::linear)
        }
    }

    /// The ticks of the horizontal axis: the values that were measured.
    fn x_ticks(&self, x: &Scale) -> Vec<(f64, String)> {
        labelled(x, &self.points.iter().map(|p| p[0]).collect::<Vec<_>>())
    }

    /// The places of the points.
    fn places(&self, [x, y]: &[Scale; 2]) -> Vec<[f64; 2]> {
        self.points.iter().map(|p| [x.place(p[0]), y.place(p[1])]).collect()
    }

    /// The places of the fitted line, at `count` values from left to right, as far as they are
    /// within the axes.
    fn line_places(&self, [x, y]: &[Scale; 2], count: usize) -> Vec<[f64; 2]> {
        let at = |i: usize| {
            let place = i as f64 / (count - 1) as f64;
            let value = self.line[0] + self.line[1] * x.value(place);
            y.holds(value).then(|| [place, y.place(value)])
        };
        (0..count).filter_map(at).collect()
    }

    /// The picture in plain characters.
    pub fn text(&self) -> String {
        let scales = self.scales();
        let [x, y] = &scales;
        let ticks = labelled(y, &y.ticks());
        let width = ticks.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
        let mut text = format!("{}\n", self.y);
        for (line, signs) in self.plot(&scales).into_iter().enumerate() {
            let label = ticks
                .iter()
                .find(|(place, _)| LINES - 1 - cell(*place, LINES) == line)
                .map_or("", |(_, label)| label);
            let edge = if label.is_empty() { '│' } else { '┤' };
            text += format!("{label:>width$} {edge}{signs}").trim_end();
            text.push('\n');
        }
        let [edge, labels] = self.x_lines(x);
        let axes = if self.is_log() { "both axes logarithmic" } else { "both axes from 0" };
        text + &format!(
            "{:width$} └{edge}\n{:width$}  {labels}\n{:width$}  {}\n● measured  · fitted, {axes}",
            "", "", "", self.x
        )
    }

    /// The lines of the plot, from the top.
    fn plot(&self, scales: &[Scale; 2]) -> Vec<String> {
        let mut grid = vec![vec![' '; COLUMNS]; LINES];
        let mut put =
            |[x, y]: [f64; 2], sign| grid[LINES - 1 - cell(y, LINES)][cell(x, COLUMNS)] = sign;
        self.line_places(scales, COLUMNS).into_iter().for_each(|place| put(place, '·'));
        self.places(scales).into_iter().for_each(|place| put(place, '●'));
        grid.into_iter().map(String::from_iter).collect()
    }

    /// The horizontal axis and the line below it, with as many values as have room.
    fn x_lines(&self, x: &Scale) -> [String; 2] {
        let mut edge = vec!['─'; COLUMNS];
        let mut labels = String::new();
        for (place, label) in self.x_ticks(x) {
            let column = cell(place, COLUMNS);
            edge[column] = '┬';
            let start = column.saturating_sub(label.len() / 2);
            if labels.is_empty() || start > labels.len() {
                labels = format!("{labels:start$}{label}");
            }
        }
        [edge.into_iter().collect(), labels]
    }

    /// The picture as an SVG document without references to other files.
    pub fn svg(&self) -> String {
        let [width, height] = SIZE;
        let head = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\" \
             fill=\"#222\">\n<title>{}</title>\n<rect width=\"100%\" height=\"100%\" \
             fill=\"#fff\"/>\n",
            escaped(&self.title)
        );
        let scales = self.scales();
        head + &self.svg_words() + &self.svg_axes(&scales) + &self.svg_curves(&scales) + "</svg>\n"
    }

    /// The title, the notes, the legend and the names of the axes.
    fn svg_words(&self) -> String {
        let [left, top, right, bottom] = FRAME;
        let (middle, half) = ((left + right) / 2.0, (top + bottom) / 2.0);
        let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 20 {half})\"");
        let legend = format!("dots: measured; dashes: {}", self.fitted);
        let notes = self.notes.iter().chain([&legend]).enumerate();
        let notes: String = notes
            .map(|(i, note)| words([left, 46.0 + 18.0 * i as f64], "", &cut(note, 96)))
            .collect();
        let log = if self.is_log() { " (logarithmic)" } else { "" };
        words([left, 26.0], "font-size=\"15\"", &cut(&self.title, 76))
            + &notes
            + &words([middle, bottom + 40.0], "text-anchor=\"middle\"", &format!("{}{log}", self.x))
            + &words([20.0, half], &turned, &format!("{}{log}", self.y))
    }

    /// The axes with their ticks.
    fn svg_axes(&self, [x, y]: &[Scale; 2]) -> String {
        let [left, top, right, bottom] = FRAME;
        let mut svg = String::new();
        for (place, label) in labelled(y, &y.ticks()) {
            let [_, at] = spot([0.0, place]);
            svg += &stroke([left, at], [right, at], "#ddd");
            svg += &words([left - 8.0, at + 4.0], "text-anchor=\"end\"", &label);
        }
        let mut free = 0.0;
        for (place, label) in self.x_ticks(x) {
            let [at, _] = spot([place, 0.0]);
            svg += &stroke([at, bottom], [at, bottom + 5.0], "#222");
            let half = 4.0 * label.len() as f64;
            if at - half >= free {
                svg += &words([at, bottom + 20.0], "text-anchor=\"middle\"", &label);
                free = at + half;
            }
        }
        svg + &stroke([left, top], [left, bottom], "#222")
            + &stroke([left, bottom], [right, bottom], "#222")
    }

    /// The fitted line and the points, each with its numbers as a title.
    fn svg_curves(&self, scales: &[Scale; 2]) -> String {
        let places = self.places(scales);
        let line = polyline(
            &self.line_places(scales, PIECES + 1),
            "stroke=\"#888\" stroke-dasharray=\"5 4\"",
        );
        let mut svg = line + &polyline(&places, "stroke=\"#1565c0\" stroke-width=\"2\"");
        for (point, place) in self.points.iter().zip(&places) {
            let [cx, cy] = spot(*place);
            let told =
                escaped(&format!("{}: {}, {}: {}", self.x, point[0], self.y, rounded(point[1], 6)));
            svg += &format!(
                "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"4\" \
                 fill=\"#1565c0\"><title>{told}</title></circle>\n"
            );
        }
        svg
    }
}

/// The coordinates in the SVG of places from 0 to 1.
fn spot([x, y]: [f64; 2]) -> [f64; 2] {
    let [left, top, right, bottom] = FRAME;
    [left + x * (right - left), bottom - y * (bottom - top)]
}

/// A text element.
fn words([x, y]: [f64; 2], style: &str, text: &str) -> String {
    let space = if style.is_empty() { "" } else { " " };
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\"{space}{style}>{}</text>\n", escaped(text))
}

/// A line element.
fn stroke([x1, y1]: [f64; 2], [x2, y2]: [f64; 2], color: &str) -> String {
    format!(
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{color}\"/>\n"
    )
}

/// A polyline element.
fn polyline(places: &[[f64; 2]], style: &str) -> String {
    let points: Vec<String> =
        places.iter().map(|place| spot(*place)).map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
    format!("<polyline fill=\"none\" {style} points=\"{}\"/>\n", points.join(" "))
}

/// A text, cut to `most` characters.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.into()
    } else {
        text.chars().take(most - 1).chain(['…']).collect()
    }
}

/// A text for XML, in an element or in quotes; characters that XML cannot hold become `\u{fffd}`.
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

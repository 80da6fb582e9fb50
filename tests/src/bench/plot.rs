//! Lines over a logarithmic axis, as SVG: small, text, and the same for the same figures.

use std::fmt::Write as _;

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// A plot; the vertical axis begins at 0.
#[derive(Debug, Clone)]
pub struct Plot {
    pub title: String,
    pub x: String,
    pub y: String,
    pub lines: Vec<Line>,
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;
/// Readable on light and dark pages.
const COLOURS: [&str; 4] = ["#1f77b4", "#888888", "#d95f02", "#2ca02c"];

impl Plot {
    /// The picture.
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let low = points().map(|(x, _)| x).fold(f64::MAX, f64::min).max(1e-9);
        let high = points().map(|(x, _)| x).fold(low, f64::max);
        let top = nice(points().map(|(_, y)| y).fold(0.0, f64::max));
        let at_x = |x: f64| LEFT + (WIDTH - LEFT - RIGHT) * share((x / low).ln(), (high / low).ln());
        let at_y = |y: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share(y, top);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#777\">\n"
        );
        let mut put = |line: String| {
            let _infallible = writeln!(svg, "{line}");
        };
        put(format!("<text x=\"{LEFT}\" y=\"16\" font-size=\"13\">{}</text>", self.title));
        for step in 0..=4 {
            let value = top * f64::from(step) / 4.0;
            let y = at_y(value);
            let right = WIDTH - RIGHT;
            put(format!("<path d=\"M{LEFT} {y:.0}H{right}\" stroke=\"#ccc\" stroke-width=\".5\"/>"));
            put(format!(
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                short(value)
            ));
        }
        let mut marked: Vec<f64> = points().map(|(x, _)| x).collect();
        marked.sort_by(f64::total_cmp);
        marked.dedup();
        for x in marked {
            let (at, y) = (at_x(x), HEIGHT - BOTTOM + 16.0);
            put(format!("<text x=\"{at:.0}\" y=\"{y}\" text-anchor=\"middle\">{}</text>", short(x)));
        }
        let below = HEIGHT - 12.0;
        put(format!("<text x=\"{:.0}\" y=\"{below}\" text-anchor=\"middle\">{}</text>", WIDTH / 2.0, self.x));
        put(format!("<text x=\"8\" y=\"{:.0}\">{}</text>", TOP - 12.0, self.y));
        for (number, (line, colour)) in self.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let path: Vec<String> =
                line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(*y))).collect();
            put(format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            ));
            let x = LEFT + 130.0 + 150.0 * number as f64;
            put(format!("<text x=\"{x}\" y=\"{:.0}\" fill=\"{colour}\">{}</text>", TOP - 12.0, line.name));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn share(value: f64, of: f64) -> f64 {
    if of > 0.0 { value / of } else { 0.5 }
}

/// The next of 1, 2, 4 or 8 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-9).log10().floor());
    [1.0, 2.0, 4.0, 8.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}

/// `1k`, `10M`, `2.5`.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value if value.fract() == 0.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_text_that_stays() {
        let line = Line { name: "added".into(), points: vec![(1e3, 5.0), (1e6, 7.5)] };
        let plot = Plot { title: "t".into(), x: "rows".into(), y: "\u{b5}s".into(), lines: vec![line] };
        let svg = plot.svg();
        assert_eq!(svg, plot.svg());
        assert!(svg.contains(">1k<") && svg.contains(">1M<") && svg.contains("points=\"56.0,"), "{svg}");
        assert_eq!((nice(7.5), nice(81.0), nice(100.0)), (8.0, 100.0, 100.0));
    }
}

//! Lines over two axes, as SVG that reads well on light and on dark pages.

use std::fmt::Write as _;

use super::statistics::Spread;
use super::table::number;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Where the axes cross, and where they end: left, top, right, bottom.
const FRAME: [f64; 4] = [76.0, 64.0, 680.0, 344.0];
/// Lines whose points are no further apart than this are drawn without marks.
const CROWDED: f64 = 12.0;
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-size:15px;font-weight:600}\
.grid{stroke:#d1d9e0}.axis{stroke:#59636e}path{fill:none;stroke-width:2}\
.s0{stroke:#0969da}.s1{stroke:#bc4c00}.s2{stroke:#1a7f37}.s3{stroke:#8250df}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}.axis{stroke:#9198a1}\
.s0{stroke:#4493f8}.s1{stroke:#f0883e}.s2{stroke:#3fb950}.s3{stroke:#ab7df8}}";
/// A logarithmic axis with more of them shows powers of ten only.
const MOST_TICKS: usize = 8;
/// As many as there are colours.
const MOST_SERIES: usize = 4;

/// What an axis shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    /// With its unit.
    pub(crate) label: &'static str,
    pub(crate) is_log: bool,
}

/// A drawing of up to four series.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    /// Each with its name and its points in the order of x.
    pub(crate) series: Vec<(&'static str, Vec<(f64, Spread)>)>,
}

/// An axis with what it reaches over: values to places in the drawing.
struct Scale {
    is_log: bool,
    least: f64,
    most: f64,
    /// Where the least and the most stand.
    places: (f64, f64),
}

impl Chart {
    pub(crate) fn draw(&self) -> String {
        let points = || self.series.iter().flat_map(|(_, points)| points);
        let [left, top, right, bottom] = FRAME;
        let x = Scale::over(self.x.is_log, points().map(|(x, _)| *x), (left, right));
        let heights = points().flat_map(|(_, y)| [y.least, y.most]);
        let y = Scale::over(self.y.is_log, heights, (bottom, top));
        let mut svg = String::new();
        // Writing to a text cannot fail.
        let _ = self.write(&mut svg, &x, &y);
        svg
    }

    fn write(&self, svg: &mut String, x: &Scale, y: &Scale) -> std::fmt::Result {
        let [left, top, right, bottom] = FRAME;
        let title = escaped(self.title);
        writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">"#
        )?;
        writeln!(svg, "<title>{title}</title><style>{STYLE}</style>")?;
        writeln!(svg, r#"<text class="title" x="{left}" y="24">{title}</text>"#)?;
        for value in y.ticks() {
            let at = y.place(value);
            writeln!(svg, r#"<line class="grid" x1="{left}" x2="{right}" y1="{at:.1}" y2="{at:.1}"/>"#)?;
            let (x, y) = (left - 8.0, at + 4.0);
            writeln!(svg, r#"<text text-anchor="end" x="{x}" y="{y:.1}">{}</text>"#, number(value))?;
        }
        for value in x.ticks() {
            let (at, end, below) = (x.place(value), bottom + 5.0, bottom + 20.0);
            writeln!(svg, r#"<line class="axis" x1="{at:.1}" x2="{at:.1}" y1="{bottom}" y2="{end}"/>"#)?;
            writeln!(svg, r#"<text text-anchor="middle" x="{at:.1}" y="{below}">{}</text>"#, number(value))?;
        }
        writeln!(svg, r#"<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>"#)?;
        writeln!(svg, r#"<line class="axis" x1="{left}" x2="{left}" y1="{top}" y2="{bottom}"/>"#)?;
        let (middle, below) = (f64::midpoint(left, right), HEIGHT - 14.0);
        let label = escaped(self.x.label);
        writeln!(svg, r#"<text text-anchor="middle" x="{middle}" y="{below}">{label}</text>"#)?;
        let (middle, label) = (f64::midpoint(top, bottom), escaped(self.y.label));
        let turned = format!("translate(18 {middle}) rotate(-90)");
        writeln!(svg, r#"<text text-anchor="middle" transform="{turned}">{label}</text>"#)?;
        let mut legend = left;
        for (nth, (name, points)) in self.series.iter().take(MOST_SERIES).enumerate() {
            write_series(svg, nth, points, x, y)?;
            let (end, text, name) = (legend + 20.0, legend + 26.0, escaped(name));
            writeln!(
                svg,
                r#"<line class="s{nth}" stroke-width="2" x1="{legend}" x2="{end}" y1="44" y2="44"/>"#
            )?;
            writeln!(svg, r#"<text x="{text}" y="48">{name}</text>"#)?;
            legend = text + 7.5 * name.chars().count() as f64 + 16.0;
        }
        writeln!(svg, "</svg>")
    }
}

/// A line through the medians, and a bar from the least to the most at each.
fn write_series(
    svg: &mut String,
    nth: usize,
    points: &[(f64, Spread)],
    x: &Scale,
    y: &Scale,
) -> std::fmt::Result {
    let place = |(at, spread): &(f64, Spread)| format!("{:.1} {:.1}", x.place(*at), y.place(spread.median));
    let line: Vec<_> = points.iter().map(place).collect();
    writeln!(svg, r#"<path class="s{nth}" d="M{}"/>"#, line.join("L"))?;
    if (FRAME[2] - FRAME[0]) / (points.len() as f64) < CROWDED {
        return Ok(());
    }
    for (at, spread) in points {
        let (at, median) = (x.place(*at), y.place(spread.median));
        let (least, most) = (y.place(spread.least), y.place(spread.most));
        writeln!(svg, r#"<path class="s{nth}" d="M{at:.1} {least:.1}V{most:.1}"/>"#)?;
        writeln!(svg, r#"<circle class="s{nth}" fill="none" cx="{at:.1}" cy="{median:.1}" r="3"/>"#)?;
    }
    Ok(())
}

impl Scale {
    /// Over all the values; a linear one begins at zero.
    fn over(is_log: bool, values: impl Iterator<Item = f64>, places: (f64, f64)) -> Self {
        let values: Vec<_> = values.filter(|value| value.is_finite() && (!is_log || *value > 0.0)).collect();
        let most = values.iter().copied().reduce(f64::max).unwrap_or(1.0);
        let least = values.iter().copied().reduce(f64::min).unwrap_or(1.0);
        if is_log {
            let below = rounds().take_while(|round| *round <= least).last().unwrap_or(least);
            let above = rounds().find(|round| *round >= most && *round > below).unwrap_or(most);
            return Self { is_log, least: below, most: above, places };
        }
        let step = step(most.max(f64::MIN_POSITIVE));
        Self { is_log, least: 0.0, most: (most / step).ceil().max(1.0) * step, places }
    }

    fn place(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.least) / self.least).log10() / (self.most / self.least).log10()
        } else {
            (value - self.least) / (self.most - self.least)
        };
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    fn ticks(&self) -> Vec<f64> {
        let ends = self.least * 0.999..=self.most * 1.001;
        if !self.is_log {
            let step = step(self.most);
            return (0..20).map(|nth| f64::from(nth) * step).filter(|value| ends.contains(value)).collect();
        }
        let all: Vec<_> = rounds().filter(|value| ends.contains(value)).collect();
        let is_power = |value: &f64| (value.log10() - value.log10().round()).abs() < 1e-6;
        if all.len() > MOST_TICKS { all.into_iter().filter(is_power).collect() } else { all }
    }
}

/// 1, 2 and 5 of the powers of ten, ascending.
fn rounds() -> impl Iterator<Item = f64> {
    (-6..=12).flat_map(|power| [1.0, 2.0, 5.0].map(|times| times * 10_f64.powi(power)))
}

/// Between ticks, of which there are then four to ten: 1, 2 or 5 of some power of ten.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 4.0).log10().floor());
    [5.0, 2.0].into_iter().map(|times| times * power).find(|step| step * 4.0 <= most).unwrap_or(power)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(is_log: bool, points: &[(f64, f64)]) -> Chart {
        let at = |value| Spread { median: value, least: value * 0.9, most: value * 1.1 };
        let points = points.iter().map(|(x, y)| (*x, at(*y))).collect();
        let axis = Axis { label: "a < b & c, µs", is_log };
        Chart { title: "Cost & more", x: axis, y: axis, series: vec![("of <nodes>", points)] }
    }

    /// What is open, and whether each end matches: enough for what we write, which has no comments or entities of its own.
    fn assert_well_formed(svg: &str) {
        let mut open = Vec::new();
        for part in svg.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("a tag without an end: {part}"));
            let ampersands = text.split('&').skip(1);
            assert!(
                ampersands.into_iter().all(|rest| rest.starts_with("amp;")
                    || rest.starts_with("lt;")
                    || rest.starts_with("gt;"))
            );
            assert!(tag.matches('"').count() % 2 == 0, "{tag}");
            let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?} never end");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn drawings_are_well_formed() {
        let points = [(100.0, 20.0), (1_000.0, 21.0), (15_000.0, 300.0)];
        for is_log in [false, true] {
            let svg = chart(is_log, &points).draw();
            assert_well_formed(&svg);
            assert_eq!(svg.matches("<circle").count(), points.len());
            assert!(svg.contains("of &lt;nodes&gt;") && svg.contains("Cost &amp; more"));
            assert_well_formed(&chart(is_log, &[]).draw());
            assert_well_formed(&chart(is_log, &[(1.0, 0.0)]).draw());
        }
        let many: Vec<_> = (1..200).map(|x| (f64::from(x), 5.0)).collect();
        assert_eq!(chart(false, &many).draw().matches("<circle").count(), 0);
    }

    #[test]
    fn scales_end_at_round_numbers() {
        let log = Scale::over(true, [120.0, 15_000.0].into_iter(), (0.0, 230.0));
        let shown: Vec<_> = log.ticks().into_iter().map(number).collect();
        assert_eq!(shown, ["100", "200", "500", "1,000", "2,000", "5,000", "10,000", "20,000"]);
        assert!((log.place(1_000.0) - 100.0).abs() < 0.1);
        let decades = Scale::over(true, [1.0, 1e6].into_iter(), (0.0, 600.0));
        assert_eq!(decades.ticks().len(), 7);
        assert!(Scale::over(true, [5.0].into_iter(), (0.0, 1.0)).most > 5.0);
        let linear = Scale::over(false, [3.0, 87.0].into_iter(), (100.0, 0.0));
        assert_eq!(linear.ticks(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert!((linear.place(25.0) - 75.0).abs() < 1e-9);
    }
}

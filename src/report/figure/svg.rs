//! A drawing.

use crate::report::html::escape;
use std::fmt::Write;

/// Colours of figures and pages, in both schemes. The first series are Okabe and Ito's, which the colour-blind can
/// tell apart; a second round is dashed.
pub const STYLE: &str = "
:root{--ink:#222;--paper:#fff;--grid:#dcdcdc;--soft:#666;--link:#0b57a4;--alarm:#b3261e;--heat:#0b57a4;
--c0:#0072b2;--c1:#e69f00;--c2:#009e73;--c3:#cc79a7;--c4:#d55e00;--c5:#56b4e9;--c6:#777;--c7:#b8a800;--c8:#7a4fa3;--c9:#8a5a2b}
@media (prefers-color-scheme:dark){:root{--ink:#e6e6e6;--paper:#161616;--grid:#3c3c3c;--soft:#a6a6a6;--link:#8ab8ff;
--alarm:#ff8a80;--heat:#6fb1ff;--c0:#4aa8e0;--c1:#f0b429;--c2:#2fc79a;--c3:#e39cc4;--c4:#ff8a3d;--c5:#8fd0f7;--c6:#aaa;--c7:#f0e442;--c8:#b794e0;--c9:#c99a6b}}
@media print{:root{--ink:#000;--paper:#fff;--grid:#ccc;--soft:#444}}
svg text{fill:var(--ink);font:13px system-ui,sans-serif}
svg .title{font-size:15px;font-weight:600}svg .small{font-size:11px}svg .soft{fill:var(--soft)}
svg .back{fill:var(--paper)}svg .grid{stroke:var(--grid);stroke-width:1}svg .axis{stroke:var(--soft);stroke-width:1}
svg .line{fill:none;stroke-width:2}svg .band{fill-opacity:.16;stroke:none}svg .whisker{stroke:var(--ink);stroke-width:1.5}
svg .dashed{stroke-dasharray:6 4}svg .cell{fill:var(--heat)}svg .outline{stroke:var(--ink);stroke-width:1.5}
";

/// The number of colours for series.
const COLOURS: usize = 10;

/// A drawing of a size, in its own units.
#[derive(Clone, Debug, PartialEq)]
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

/// The colour of a series, and whether its lines are dashed.
pub(super) fn series(number: usize) -> (String, &'static str) {
    (format!("var(--c{})", number % COLOURS), if number / COLOURS % 2 == 1 { " dashed" } else { "" })
}

impl Svg {
    pub(super) fn new(width: f64, height: f64, title: &str) -> Svg {
        let mut svg = Svg { width, height, title: title.into(), body: String::new() };
        svg.push(format_args!("<rect class=\"back\" width=\"{width}\" height=\"{height}\"/>"));
        svg
    }

    pub(super) fn push(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.body, "{element}");
    }

    /// Text whose `anchor` is `start`, `middle` or `end`.
    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
        let text = escape(text);
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        ));
    }

    pub(super) fn line(&mut self, (x, y): (f64, f64), (to_x, to_y): (f64, f64), class: &str) {
        self.push(format_args!(
            "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{to_x:.1}\" y2=\"{to_y:.1}\" class=\"{class}\"/>"
        ));
    }

    /// A rectangle (left, top, width, height) of a colour that text on it can be read in both schemes, and a title for
    /// who points at it.
    pub(super) fn block(&mut self, [x, y, width, height]: [f64; 4], colour: &str, title: &str) {
        let title = escape(title);
        self.push(format_args!(
            "<rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{height}\" fill=\"{colour}\" \
             fill-opacity=\".6\"><title>{title}</title></rect>"
        ));
    }

    /// The drawing inside a page that has [`STYLE`].
    pub fn inline(&self) -> String {
        self.with("")
    }

    /// The drawing as a file of its own.
    pub fn standalone(&self) -> String {
        // In a file of its own the drawing is the root.
        self.with(&format!("<style>{STYLE}</style>\n"))
    }

    fn with(&self, style: &str) -> String {
        let Svg { width, height, body, .. } = self;
        let title = escape(&self.title);
        // A small drawing on a wide page stays small.
        let largest = (1.3 * width).round();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-label=\"{title}\" style=\"max-width:{largest}px\">\n<title>{title}</title>\n{style}{body}</svg>\n"
        )
    }
}

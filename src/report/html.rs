//! One page of HTML that needs nothing else: no network, no script, no other file. It follows the reader's
//! colour scheme, reads on a phone, and prints.

use super::figure::{self, Svg};
use super::grid::Grid;
use crate::files::shown_lines;

/// A page, written from top to bottom.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    contents: Vec<(String, String)>,
    body: String,
}

const STYLE: &str = "
:root{color-scheme:light dark}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:72rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.3rem;margin-top:2.5rem;border-bottom:1px solid var(--grid)}
h3{font-size:1.05rem;margin-bottom:.3rem}
a{color:var(--link)}nav ul{padding-left:1.2rem;columns:16rem}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5rem 0}
th,td{padding:.25rem .7rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}
th:first-child{text-align:left}thead th{border-bottom:2px solid var(--ink)}
td.off{font-weight:700;color:var(--alarm)}
figure{margin:1rem 0}figcaption{font-size:.9rem}
figure svg{display:block;width:100%;min-width:34rem;height:auto}
.several{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1rem}
.several svg{min-width:0}
.words td{text-align:left}summary{cursor:pointer;padding:.3rem 0}
code{overflow-wrap:anywhere;font-size:.9em}
@media print{body{max-width:none;font-size:10pt;padding:0}figure,tr{break-inside:avoid}h2,h3{break-after:avoid}nav{display:none}
.scroll{overflow:visible}figure svg{min-width:0}th,td{padding:.15rem .35rem}}
";

/// Text as HTML and SVG want it. Characters that neither may have, or that turn the direction of what is beside them, are
/// written as numbers.
pub fn escape(text: &str) -> String {
    let text = shown_lines(text).to_string();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Page {
        Page { title: title.into(), contents: vec![], body: String::new() }
    }

    /// A heading that the contents list.
    pub fn section(&mut self, title: &str) {
        let id = format!("s{}", self.contents.len() + 1);
        self.body += &format!("<h2 id=\"{id}\">{}</h2>\n", escape(title));
        self.contents.push((id, title.into()));
    }

    /// A heading below a section's.
    pub fn heading(&mut self, title: &str) {
        self.body += &format!("<h3>{}</h3>\n", escape(title));
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) {
        self.body += &format!("<p>{}</p>\n", escape(text));
    }

    /// A command, or anything else that is to be copied.
    pub fn code(&mut self, text: &str) {
        self.body += &format!("<p><code>{}</code></p>\n", escape(text));
    }

    /// A table.
    pub fn table(&mut self, grid: &Grid) {
        self.body += &grid.to_html();
    }

    /// A table of words below a line that opens it.
    pub fn folded(&mut self, line: &str, grid: &Grid) {
        let (line, table) = (escape(line), grid.to_html());
        self.body += &format!("<details class=\"words\"><summary>{line}</summary>{table}</details>\n");
    }

    /// A figure as wide as the page; a narrow screen scrolls it.
    pub fn figure(&mut self, svg: &Svg, caption: &str) {
        self.body += &format!("<div class=\"scroll\">{}</div>", figure_of(svg, caption));
    }

    /// Small figures side by side.
    pub fn figures(&mut self, several: &[(Svg, String)]) {
        let figures: String = several.iter().map(|(svg, caption)| figure_of(svg, caption)).collect();
        self.body += &format!("<div class=\"several\">{figures}</div>\n");
    }

    /// The whole page.
    pub fn render(&self) -> String {
        let link = |(id, title): &(String, String)| format!("<li><a href=\"#{id}\">{}</a></li>\n", escape(title));
        let contents: String = self.contents.iter().map(link).collect();
        let title = escape(&self.title);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n\
             <style>{colours}{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<nav aria-label=\"Contents\"><ul>\n\
             {contents}</ul></nav>\n<main>\n{body}</main>\n</body>\n</html>\n",
            colours = figure::STYLE,
            body = self.body
        )
    }
}

fn figure_of(svg: &Svg, caption: &str) -> String {
    format!("<figure>{}<figcaption>{}</figcaption></figure>\n", svg.inline(), escape(caption))
}

//! A table of texts: names to the left, numbers to the right, as plain text, Markdown or HTML.

use super::html::escape;
use std::fmt::Write;

/// Rows of cells under a header. The first column is names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// One name a column.
    pub header: Vec<String>,
    /// As many cells a row as the header has.
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// A table without rows.
    pub fn new(header: &[&str]) -> Grid {
        Grid { header: header.iter().map(|name| name.to_string()).collect(), rows: vec![] }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has not as many cells as the header.
    pub fn push(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.header.len(), "a row of {} cells under {} names", row.len(), self.header.len());
        self.rows.push(row);
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.header).chain(&self.rows)
    }

    /// Columns three spaces apart, no lines drawn.
    pub fn to_text(&self) -> String {
        let width = |column: usize| self.lines().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let mut text = String::new();
        for row in self.lines() {
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                let _ = write!(line, "   {cell:>width$}");
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    /// The same with all columns to the left, for words.
    pub fn to_text_of_words(&self) -> String {
        let width = |column: usize| self.lines().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            format!("{}\n", cells.join("  ").trim_end())
        };
        self.lines().map(line).collect()
    }

    /// A Markdown table.
    pub fn to_markdown(&self) -> String {
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: String = (0..self.header.len()).map(|i| if i == 0 { "|---" } else { "|---:" }).collect();
        let rows: String = self.rows.iter().map(line).collect();
        format!("{}{rule}|\n{rows}", line(&self.header))
    }

    /// An HTML table; a cell that ends in `*` is marked.
    pub fn to_html(&self) -> String {
        let header: String =
            self.header.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
        let cell = |(i, text): (usize, &String)| match (i, text.ends_with('*')) {
            (0, _) => format!("<th scope=\"row\">{}</th>", escape(text)),
            (_, true) => format!("<td class=\"off\">{}</td>", escape(text)),
            (_, false) => format!("<td>{}</td>", escape(text)),
        };
        let row = |row: &Vec<String>| format!("<tr>{}</tr>\n", row.iter().enumerate().map(cell).collect::<String>());
        let rows: String = self.rows.iter().map(row).collect();
        format!("<div class=\"scroll\"><table><thead><tr>{header}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n")
    }
}

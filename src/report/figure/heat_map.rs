//! A matrix of fractions as a field of cells.

use super::svg::Svg;

/// What a heat map shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// What a row is.
    pub row: String,
    /// What a column is.
    pub column: String,
    /// A name a row.
    pub rows: Vec<String>,
    /// A name a column.
    pub columns: Vec<String>,
    /// Fractions; NaN where there is none.
    pub values: Vec<Vec<f64>>,
}

impl Field {
    /// A matrix whose rows and columns are counted from 1.
    pub fn counted(row: &str, column: &str, values: Vec<Vec<f64>>) -> Field {
        let names = |count: usize| (1..=count).map(|n| n.to_string()).collect();
        let (rows, columns) = (names(values.len()), names(values.first().map_or(0, Vec::len)));
        Field { row: row.into(), column: column.into(), rows, columns, values }
    }
}

const CELL: f64 = 24.0;
const WIDE_CELL: f64 = 40.0;
const MARGIN: f64 = 44.0;

/// Draws fractions from 0 (the paper's colour) to 1 (full colour), with the percentage in every cell.
pub fn heat_map(title: &str, field: &Field) -> Svg {
    // Names that are no small numbers want room.
    let narrow = field.columns.iter().all(|name| name.len() <= 3);
    let pitch = if narrow { CELL } else { WIDE_CELL };
    let (width, height) = (pitch * field.columns.len() as f64, CELL * field.rows.len() as f64);
    let texts = [title.len() as f64 * 8.5, (field.row.len().max(field.column.len()) as f64 + 8.0) * 6.5];
    let width = texts.into_iter().fold(MARGIN + width + 12.0, f64::max);
    let mut svg = Svg::new(width, MARGIN + height + 44.0, title);
    svg.text((8.0, 18.0), "start", "title", title);
    for (r, (name, values)) in field.rows.iter().zip(&field.values).enumerate() {
        let y = MARGIN + CELL * r as f64;
        svg.text((MARGIN - 6.0, y + 16.0), "end", "small soft", name);
        for (c, value) in values.iter().enumerate() {
            let x = MARGIN + pitch * c as f64;
            // Little more than half the colour, so that the number on it can be read in both schemes.
            let strength = if value.is_finite() { 0.6 * value.clamp(0.0, 1.0) } else { 0.0 };
            svg.push(format_args!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{pitch}\" height=\"{CELL}\" class=\"cell\" fill-opacity=\"{strength:.3}\"/>"
            ));
            let percent = if value.is_finite() { format!("{:.0}", 100.0 * value) } else { "-".into() };
            svg.text((x + pitch / 2.0, y + 16.0), "middle", "small", &percent);
        }
    }
    for (c, name) in field.columns.iter().enumerate() {
        svg.text((MARGIN + pitch * (c as f64 + 0.5), MARGIN - 6.0), "middle", "small soft", name);
    }
    svg.text((8.0, MARGIN + height + 20.0), "start", "small soft", &format!("row: {}", field.row));
    svg.text((8.0, MARGIN + height + 36.0), "start", "small soft", &format!("column: {}", field.column));
    svg
}

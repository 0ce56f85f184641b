//! Numbers as people read them, with no more digits than they have meaning.

/// Three digits, or all before the point.
pub fn three_digits(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Seconds in the unit that gives three digits.
pub fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 999.5e-9 => (1e9 * s, "ns"),
        s if s < 999.5e-6 => (1e6 * s, "us"),
        s if s < 999.5e-3 => (1e3 * s, "ms"),
        s => (s, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// An amount with its unit, and k, M or G before it.
pub fn amount(amount: f64, unit: &str) -> String {
    match amount {
        _ if amount < 1e3 => format!("{amount:.0} {unit}"),
        _ if amount < 1e6 => format!("{:.1} k{unit}", amount / 1e3),
        _ if amount < 1e9 => format!("{:.1} M{unit}", amount / 1e6),
        _ => format!("{:.2} G{unit}", amount / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_three_digits_in_the_unit_that_gives_them() {
        let durations = [0.0, 81.8e-9, 999.6e-9, 70.71e-6, 0.6751, 0.9996, 1.118, 99.96, 475.3];
        let wanted = ["0.00 ns", "81.8 ns", "1.00 us", "70.7 us", "675 ms", "1.00 s", "1.12 s", "100 s", "475 s"];
        assert_eq!(durations.map(duration), wanted);
    }

    #[test]
    fn an_amount_has_its_prefix() {
        assert_eq!([10.0, 10_900.0, 2.2e6, 26.4e9].map(|a| amount(a, "B")), ["10 B", "10.9 kB", "2.2 MB", "26.40 GB"]);
    }
}

//! Plain text in columns, for people.

/// Pads every column to its widest cell; the last one is left as it is.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let mut text = String::new();
    for row in rows {
        let padded = row.iter().enumerate().map(|(i, cell)| format!("{cell:<0$}", width(i).unwrap_or(0)));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `1234567` as `1.2 M`.
pub(super) fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{:.1} k", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", count as f64 / 1e6),
        _ => format!("{:.1} G", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "bcd".to_owned()], vec!["größer".to_owned(), "e".to_owned()]];
        assert_eq!(columns(&rows), "a       bcd\ngrößer  e\n");
        assert_eq!([short(9_999), short(17_226), short(25_557_032)], ["9999", "17.2 k", "25.6 M"]);
    }
}

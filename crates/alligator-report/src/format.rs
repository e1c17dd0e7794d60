//! Numbers as people read them.

/// Bytes in the largest unit that leaves at least one of it, with three or four digits.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let unit = (bytes.ilog2() / 10) as usize;
    let hundredths = (u128::from(bytes) * 100) >> (10 * unit);
    let name = UNITS[unit - 1];
    match hundredths {
        0..1000 => format!("{}.{:02} {name}", hundredths / 100, hundredths % 100),
        1000..10_000 => format!("{}.{} {name}", hundredths / 100, hundredths / 10 % 10),
        _ => format!("{} {name}", hundredths / 100),
    }
}

/// A count, with a comma between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time.
pub fn duration(ns: u64) -> String {
    let (per, unit) = match ns {
        0..1000 => return format!("{ns} ns"),
        1000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let hundredths = u128::from(ns) * 100 / per;
    match hundredths {
        0..1000 => format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100),
        1000..10_000 => format!("{}.{} {unit}", hundredths / 100, hundredths / 10 % 10),
        _ => format!(
            "{} {unit}",
            count(u64::try_from(hundredths / 100).unwrap_or(u64::MAX))
        ),
    }
}

/// A part in percent, `-` of nothing.
pub fn percent(part: u64, whole: u64) -> String {
    match (u128::from(part) * 1000).checked_div(u128::from(whole)) {
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
        None => "-".to_owned(),
    }
}

/// How many times a number holds another, `-` of nothing.
pub fn times(number: u64, other: u64) -> String {
    match (u128::from(number) * 100).checked_div(u128::from(other)) {
        Some(hundredths) => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        None => "-".to_owned(),
    }
}

/// A difference, with its sign, written by `form`.
pub fn difference(before: u64, after: u64, form: impl Fn(u64) -> String) -> String {
    match after.cmp(&before) {
        core::cmp::Ordering::Less => format!("-{}", form(before - after)),
        core::cmp::Ordering::Equal => "0".to_owned(),
        core::cmp::Ordering::Greater => format!("+{}", form(after - before)),
    }
}

/// A name, with its middle left out if it has more characters than `most`.
pub fn shorten(name: &str, most: usize) -> String {
    let characters: Vec<char> = name.chars().collect();
    if characters.len() <= most {
        return name.to_owned();
    }
    let start = most * 2 / 3;
    let end = most.saturating_sub(start + 1);
    let tail = characters.len() - end;
    characters[..start]
        .iter()
        .chain(&['…'])
        .chain(&characters[tail..])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_true() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.00 KiB");
        assert_eq!(bytes(1_500_000), "1.43 MiB");
        assert_eq!(bytes(70_000), "68.3 KiB");
        assert_eq!(bytes(1_000_000), "976 KiB");
        assert_eq!(bytes(u64::MAX), "15.9 EiB");
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(duration(999), "999 ns");
        assert_eq!(duration(1_234_567), "1.23 ms");
        assert_eq!(duration(12_345_000_000), "12.3 s");
        assert_eq!(duration(12_345_678_000_000), "12,345 s");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(1, 0), "-");
        assert_eq!(times(5, 2), "2.50");
        assert_eq!(difference(3, 1, count), "-2");
        assert_eq!(difference(1, 3, count), "+2");
    }

    #[test]
    fn the_middle_of_a_long_name_is_left_out() {
        assert_eq!(shorten("abcdefghij", 10), "abcdefghij");
        assert_eq!(shorten("abcdefghijk", 7), "abcd…jk");
        assert_eq!(shorten("äöüäöüäöü", 4), "äö…ü");
    }
}

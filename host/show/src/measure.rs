//! Figures as people read them.

/// `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 word`, `12,345 words`.
pub fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `512 B`, `1.5 MB`: powers of 1,000, three digits.
pub fn bytes(bytes: u64) -> String {
    let mut amount = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    // 999.5 would be written as 1000.
    while amount >= 999.5 {
        let Some(next) = units.next() else { break };
        (amount, unit) = (amount / 1000.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{} {unit}", three_digits(amount)) }
}

/// `0.42 ms`, `12.3 ms`, `4.56 s`.
pub fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms >= 999.5 => format!("{} s", three_digits(ms / 1000.0)),
        ms if ms >= 0.0995 => format!("{} ms", three_digits(ms)),
        ms => format!("{} µs", three_digits(ms * 1000.0)),
    }
}

/// `87.5 %`.
pub fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

fn three_digits(amount: f64) -> String {
    match amount {
        amount if amount >= 99.95 => format!("{amount:.0}"),
        amount if amount >= 9.995 => format!("{amount:.1}"),
        amount => format!("{amount:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let counts: Vec<String> = [0, 999, 1000, 1_234_567].map(count).to_vec();
        assert_eq!(counts, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((plural(1, "word"), plural(0, "word")), ("1 word".to_owned(), "0 words".to_owned()));
        let sizes: Vec<String> = [0, 999, 1000, 999_499, 999_500, 1_535_336].map(bytes).to_vec();
        assert_eq!(sizes, ["0 B", "999 B", "1.00 kB", "999 kB", "1.00 MB", "1.54 MB"]);
        let times: Vec<String> = [0.0004, 0.05, 0.5, 12.34, 999.0, 1500.0].map(milliseconds).to_vec();
        assert_eq!(times, ["0.40 µs", "50.0 µs", "0.50 ms", "12.3 ms", "999 ms", "1.50 s"]);
        assert_eq!(percent(0.875), "87.5 %");
    }
}

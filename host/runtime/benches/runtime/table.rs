//! Rows of the table: what was measured beside what it is compared with.

use std::time::Duration;

/// The head of the table.
pub fn head() {
    println!("{:<58} {:>11} {:>11}  {:<7} {:>7}", "work", "median", "beside", "", "ratio");
}

/// A row. `peer` says what `beside` is: `native`, `goal` or another way to do the same.
pub fn row(work: &str, median: Duration, peer: &str, beside: Duration) {
    let ratio = median.as_secs_f64() / beside.as_secs_f64();
    println!("{work:<58} {:>11} {:>11}  {peer:<7} {ratio:>6.2}x", told(median), told(beside));
}

/// A time in a unit that fits.
pub fn told(time: Duration) -> String {
    let us = time.as_secs_f64() * 1e6;
    match us {
        _ if us < 1.0 => format!("{:.0} ns", us * 1e3),
        _ if us < 1_000.0 => format!("{us:.2} us"),
        _ if us < 1e6 => format!("{:.2} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// The one in the middle.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

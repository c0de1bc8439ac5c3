//! Dates as ISO 8601 writes them: `2020-01-31`, `2020-01-31T12:30`, `2020-01-31 12:30:00.5Z`.

/// A day of the Gregorian calendar with its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Date {
    /// Days since 1970-01-01.
    pub days: i64,
    /// Month, 1 to 12.
    pub month: u32,
    /// Day of the month, 1 to 31.
    pub day: u32,
    /// Seconds since midnight, if a time is given.
    pub seconds: Option<f64>,
}

impl Date {
    /// Reads a date; `None` if the text is none.
    pub fn read(text: &str) -> Option<Date> {
        let bytes = text.as_bytes();
        let (year, month, day) = (number(bytes.get(..4)?)?, number(bytes.get(5..7)?)?, number(bytes.get(8..10)?)?);
        let dashes = bytes[4] == b'-' && bytes[7] == b'-';
        if !dashes || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
            return None;
        }
        let seconds = match bytes.get(10) {
            None => None,
            Some(b'T' | b't' | b' ') => Some(time(bytes.get(11..)?)?),
            Some(_) => return None,
        };
        Some(Date { days: days(i64::from(year), i64::from(month), i64::from(day)), month, day, seconds })
    }

    /// Years since the beginning of 1970, with their fraction.
    pub fn years(&self) -> f64 {
        (self.days as f64 + self.seconds.unwrap_or(0.0) / 86_400.0) / 365.2425
    }

    /// Day of the week, 0 = Monday.
    pub fn weekday(&self) -> u32 {
        // 1970-01-01 was a Thursday.
        (self.days + 3).rem_euclid(7) as u32
    }
}

/// `12:30`, `12:30:00`, `12:30:00.25`, each with or without `Z`.
fn time(bytes: &[u8]) -> Option<f64> {
    let bytes = bytes.strip_suffix(b"Z").or(bytes.strip_suffix(b"z")).unwrap_or(bytes);
    let (hour, minute) = (number(bytes.get(..2)?)?, number(bytes.get(3..5)?)?);
    if bytes[2] != b':' || hour > 23 || minute > 59 {
        return None;
    }
    let second = match bytes.get(5) {
        None => 0.0,
        Some(b':') => second(bytes.get(6..)?)?,
        Some(_) => return None,
    };
    Some(f64::from(hour * 3600 + minute * 60) + second)
}

/// `59` or `59.25`.
fn second(bytes: &[u8]) -> Option<f64> {
    let whole = number(bytes.get(..2)?).filter(|second| *second <= 60)?;
    let fraction = match bytes.get(2..)? {
        [] => 0.0,
        [b'.', digits @ ..] if !digits.is_empty() && digits.len() <= 9 => f64::from(number(digits)?) / 10f64.powi(digits.len() as i32),
        _ => return None,
    };
    Some(f64::from(whole) + fraction)
}

/// A number of digits alone.
fn number(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |n, b| b.is_ascii_digit().then(|| n.wrapping_mul(10).wrapping_add(u32::from(b - b'0'))))
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 (after Hinnant, "chrono-compatible low-level date algorithms": years begin in March).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

//! Dates as texts: as ISO 8601 and RFC 3339 write them, with the month first, or with the day
//! first.

use serde::{Deserialize, Serialize};

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

/// The order in which the dates of a column are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// `2020-01-31` or `2020-01-31T12:30:00Z` and nothing else, as tandem 0.1.0 read dates.
    #[default]
    Iso,
    /// `2020-01-31`, `2020/1/31`, `2020-01-31 12:30:00.5+02:00`.
    Ymd,
    /// `01/31/2020`, `1/31/20 2:30 PM`.
    Mdy,
    /// `31.01.2020`, `31/1/20 14:30`.
    Dmy,
}

impl DateOrder {
    /// The orders that are tried where the order of a column is not known.
    pub const ALL: [DateOrder; 3] = [DateOrder::Ymd, DateOrder::Mdy, DateOrder::Dmy];

    /// Whether this is the default order.
    pub fn is_iso(&self) -> bool {
        *self == DateOrder::Iso
    }

    /// A date and a date with a time in this order, for messages.
    pub fn example(self) -> &'static str {
        match self {
            DateOrder::Iso | DateOrder::Ymd => "2020-01-31 or 2020-01-31T12:30:00",
            DateOrder::Mdy => "01/31/2020 or 01/31/2020 12:30:00",
            DateOrder::Dmy => "31.01.2020 or 31.01.2020 12:30:00",
        }
    }

    /// The name of this order, for messages.
    pub fn words(self) -> &'static str {
        match self {
            DateOrder::Iso | DateOrder::Ymd => "year-month-day",
            DateOrder::Mdy => "month/day/year",
            DateOrder::Dmy => "day.month.year",
        }
    }
}

impl Date {
    /// Reads a date of a column whose order is known; `None` if the text is no date. A text such as
    /// `2020-01-31` is read with its year first in any column, because it has no other meaning.
    pub fn read_in(text: &str, order: DateOrder) -> Option<Date> {
        let is_year_first =
            matches!(order, DateOrder::Mdy | DateOrder::Dmy) && text.find('-') == Some(4);
        Date::read_as(text, if is_year_first { DateOrder::Ymd } else { order })
    }

    /// Reads a date in exactly this order; `None` if the text is no such date. A time with an
    /// offset becomes UTC.
    pub fn read_as(text: &str, order: DateOrder) -> Option<Date> {
        if order == DateOrder::Iso {
            return Date::read(text);
        }
        let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
        let (date, rest) = text.split_at(end);
        let separator =
            date.bytes().find(|b| !b.is_ascii_digit()).filter(|b| b"-/.".contains(b))?;
        let mut parts = date.split(char::from(separator));
        let [a, b, c] = [parts.next()?, parts.next()?, parts.next()?];
        let (year, month, day) = match order {
            DateOrder::Iso | DateOrder::Ymd => (a, b, c),
            DateOrder::Mdy => (c, a, b),
            DateOrder::Dmy => (c, b, a),
        };
        let short = |text: &str| number(text.as_bytes()).filter(|_| (1..=2).contains(&text.len()));
        let (month, day) = (short(month)?, short(day)?);
        let year = match (year.len(), order) {
            (4, _) => number(year.as_bytes())?,
            // As in POSIX: 69 to 99 are years of the last century.
            (2, DateOrder::Mdy | DateOrder::Dmy) => {
                short(year).map(|y| if y < 69 { 2000 + y } else { 1900 + y })?
            }
            _ => return None,
        };
        let valid = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        (valid && parts.next().is_none()).then_some(())?;
        let days = days(i64::from(year), i64::from(month), i64::from(day));
        match rest.get(1..).map(str::trim).filter(|time| !time.is_empty()) {
            None => Some(Date { days, month, day, seconds: None }),
            Some(time) => {
                let (seconds, offset) = clock(time)?;
                Some(Date::at(days, seconds, offset))
            }
        }
    }

    /// The date in UTC of a local date and time; the local clock is `offset` seconds ahead of UTC.
    fn at(days: i64, seconds: f64, offset: f64) -> Date {
        let seconds = seconds - offset;
        let moved = (seconds / 86_400.0).floor();
        let days = days + moved as i64;
        let (month, day) = month_and_day(days);
        Date { days, month, day, seconds: Some(seconds - moved * 86_400.0) }
    }

    /// Reads a date of ISO 8601 in UTC; `None` if the text is no such date.
    pub fn read(text: &str) -> Option<Date> {
        let bytes = text.as_bytes();
        let (year, month, day) =
            (number(bytes.get(..4)?)?, number(bytes.get(5..7)?)?, number(bytes.get(8..10)?)?);
        let dashes = bytes[4] == b'-' && bytes[7] == b'-';
        if !dashes || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
            return None;
        }
        let seconds = match bytes.get(10) {
            None => None,
            Some(b'T' | b't' | b' ') => Some(time(bytes.get(11..)?)?),
            Some(_) => return None,
        };
        Some(Date {
            days: days(i64::from(year), i64::from(month), i64::from(day)),
            month,
            day,
            seconds,
        })
    }

    /// Years since the beginning of 1970, with a fraction; a year has 365.2425 days.
    pub fn years(&self) -> f64 {
        (self.days as f64 + self.seconds.unwrap_or(0.0) / 86_400.0) / 365.2425
    }

    /// The day that lies `years` after the beginning of 1970, for messages: `2020-01-31`.
    pub fn day_of(years: f64) -> String {
        // Rounding moves midnight by less than a second.
        let days = (years * 365.2425 + 1.0 / 86_400.0).floor() as i64;
        let (month, day) = month_and_day(days);
        let year = (1970 + (days as f64 / 365.2425) as i64 - 1..)
            .find(|&year| crate::data::value::dates::days(year + 1, 1, 1) > days)
            .unwrap_or_default();
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Day of the week, 0 = Monday.
    pub fn weekday(&self) -> u32 {
        // 1970-01-01 was a Thursday.
        (self.days + 3).rem_euclid(7) as u32
    }
}

/// Reads a time such as `12:30` or `2:30:00.5 PM`, with or without `Z`, `UTC`, `+02:00`, `+0200` or
/// `+02`: seconds since midnight, and seconds by which the clock is ahead of UTC.
fn clock(text: &str) -> Option<(f64, f64)> {
    let zone = text.find(['Z', 'z', '+', '-', 'U', 'G']).unwrap_or(text.len());
    let (clock, zone) = (text[..zone].trim_end(), &text[zone..]);
    let offset = match zone.as_bytes() {
        [] | [b'Z' | b'z'] | b"UTC" | b"GMT" => 0.0,
        [sign, rest @ ..] => {
            let (hours, minutes) = match rest {
                [h @ .., b':', a, b] if h.len() == 2 => (number(h)?, number(&[*a, *b])?),
                [h @ .., a, b] if h.len() == 2 => (number(h)?, number(&[*a, *b])?),
                [_, _] => (number(rest)?, 0),
                _ => return None,
            };
            let ahead = f64::from(hours * 3600 + minutes * 60);
            (hours <= 18 && minutes <= 59).then_some(if *sign == b'-' { -ahead } else { ahead })?
        }
    };
    let half = ["AM", "PM"].into_iter().zip([0.0, 12.0]).find(|(word, _)| {
        clock.len() > 2
            && clock.is_char_boundary(clock.len() - 2)
            && clock[clock.len() - 2..].eq_ignore_ascii_case(word)
    });
    let clock = if half.is_some() { clock[..clock.len() - 2].trim_end() } else { clock };
    let padded = if clock.find(':') == Some(1) { format!("0{clock}") } else { clock.to_owned() };
    let seconds = time(padded.as_bytes())?;
    match half {
        None => Some((seconds, offset)),
        Some((_, noon)) if (3600.0..46_800.0).contains(&seconds) => {
            Some((seconds % 43_200.0 + noon * 3600.0, offset))
        }
        Some(_) => None,
    }
}

/// Reads `12:30`, `12:30:00` or `12:30:00.25`, with or without `Z`, as seconds since midnight.
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

/// Reads the seconds of a time: `59` or `59.25`.
fn second(bytes: &[u8]) -> Option<f64> {
    let whole = number(bytes.get(..2)?).filter(|second| *second <= 60)?;
    let fraction = match bytes.get(2..)? {
        [] => 0.0,
        [b'.', digits @ ..] if !digits.is_empty() && digits.len() <= 9 => {
            f64::from(number(digits)?) / 10f64.powi(digits.len() as i32)
        }
        _ => return None,
    };
    Some(f64::from(whole) + fraction)
}

/// Reads a number that consists of digits alone.
fn number(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |n, b| {
        b.is_ascii_digit().then(|| n.wrapping_mul(10).wrapping_add(u32::from(b - b'0')))
    })
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

/// The number of days from 1970-01-01 to a day (after Hinnant, "chrono-compatible low-level date
/// algorithms"; its years begin in March).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Month and day of the month, given the number of days since 1970-01-01 (the inverse of [`days`],
/// after Hinnant).
fn month_and_day(days: i64) -> (u32, u32) {
    let of_era = (days + 719_468).rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (month as u32, (of_year - (153 * from_march + 2) / 5 + 1) as u32)
}

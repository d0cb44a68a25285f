//! The time of day at the place where the machine stands, for the log.

use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    pub year: i32,
    /// 1 to 12.
    pub month: i32,
    pub day: i32,
    pub hour: i32,
    pub minute: i32,
    /// Up to 60, for a leap second.
    pub second: i32,
    pub microsecond: u32,
}

impl LocalTime {
    /// A time before 1970 counts as its beginning.
    pub fn of(time: SystemTime) -> LocalTime {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = libc::time_t::try_from(since.as_secs()).unwrap_or(0);
        // SAFETY: `tm` is plain numbers and may be zero; the call reads one local and writes the other. It fails only
        // for years that do not fit, and then leaves what is there.
        let fields = unsafe {
            let mut fields: libc::tm = std::mem::zeroed();
            libc::localtime_r(&seconds, &mut fields);
            fields
        };
        LocalTime {
            year: fields.tm_year + 1900,
            month: fields.tm_mon + 1,
            day: fields.tm_mday,
            hour: fields.tm_hour,
            minute: fields.tm_min,
            second: fields.tm_sec,
            microsecond: since.subsec_micros(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::process::Command;
    use std::time::Duration;

    const NAME: &str = "sys::clock::tests::the_time_is_the_one_of_the_place";
    /// Five and a half hours ahead.
    const PLACE: &str = "XYZ-5:30";

    #[test]
    fn the_time_is_the_one_of_the_place() {
        if std::env::var("TZ").as_deref() != Ok(PLACE) {
            let mut moved = Command::new(std::env::current_exe().unwrap());
            let outcome = moved.args(["--exact", NAME]).env("TZ", PLACE).output();
            let words = String::from_utf8(outcome.unwrap().stdout).unwrap();
            return assert!(words.contains("1 passed"), "{words}");
        }
        let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_nanos(7_999);
        let expected = LocalTime {
            year: 2023,
            month: 11,
            day: 15,
            hour: 3,
            minute: 43,
            second: 20,
            microsecond: 7,
        };
        assert_eq!(LocalTime::of(time), expected);
    }
}

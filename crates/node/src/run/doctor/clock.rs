//! Whether two clocks agree.
//!
//! Order and completeness do not depend on clocks. Tokens and sessions end by a node's, messages are dated by the
//! store's, and delivery is measured between the two.

use std::time::Duration;

use switchboard_channel_layer::ClockOffset;
use switchboard_protocol::Timestamp;
use switchboard_store::{Store, StoreError};

use super::report::Report;

/// Above this the times that people and dashboards see are wrong.
const NOTICEABLE_US: i64 = 1_000_000;
/// Above the leeway of tokens and this, fresh tokens of other machines are refused, or ended ones accepted.
const BEYOND_LEEWAY: Duration = Duration::from_secs(5);

/// Compares the store's clock with this machine's; none if the store has no other.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub(super) async fn of_store(store: &Store) -> Result<Option<ClockOffset>, StoreError> {
    let before = Timestamp::now().0;
    let Some(clock) = store.clock().await? else {
        return Ok(None);
    };
    let half = (Timestamp::now().0 - before) / 2;
    Ok(Some(ClockOffset { ahead_us: clock.0 - (before + half), within_us: half.abs() }))
}

/// Says whether a clock that messages are dated by is right.
pub(super) fn judge(report: &mut Report, whose: &str, offset: ClockOffset, leeway: Duration) {
    let off = least_us(offset);
    let beyond = i64::try_from((leeway + BEYOND_LEEWAY).as_micros()).unwrap_or(i64::MAX);
    if off > beyond {
        report.problem(format_args!(
            "{}, more than tokens allow for: have both set by NTP (`chronyc tracking`, `timedatectl`)",
            sentence(whose, offset)
        ));
    } else {
        judge_loosely(report, whose, offset);
    }
}

/// The same of a clock that decides nothing, but would tell if this machine's were wrong.
pub(super) fn judge_loosely(report: &mut Report, whose: &str, offset: ClockOffset) {
    if least_us(offset) > NOTICEABLE_US {
        report.warning(format_args!(
            "{}: have both set by NTP, since tokens end and delivery is measured by the clock",
            sentence(whose, offset)
        ));
    } else {
        let within = (offset.ahead_us.abs() + offset.within_us) / 1000 + 1;
        report.ok(format_args!("{whose} agrees with this machine's clock within {within} ms"));
    }
}

/// By how much it is off at the least, in microseconds.
fn least_us(offset: ClockOffset) -> i64 {
    offset.ahead_us.saturating_abs().saturating_sub(offset.within_us)
}

fn sentence(whose: &str, offset: ClockOffset) -> String {
    let seconds = offset.ahead_us.unsigned_abs() as f64 / 1e6;
    let which = if offset.ahead_us < 0 { "behind" } else { "ahead of" };
    format!("{whose} is {seconds:.1} s {which} this machine's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ahead_ms: i64, within_ms: i64, expected: &str) {
        let mut report = Report::default();
        let offset = ClockOffset { ahead_us: ahead_ms * 1000, within_us: within_ms * 1000 };
        judge(&mut report, "the store's clock", offset, Duration::from_secs(10));
        let lines = report.lines();
        assert!(lines.len() == 1 && lines[0].starts_with(expected), "{lines:?}");
    }

    #[test]
    fn clocks_agree_or_not() {
        check(3, 1, "ok       the store's clock agrees with this machine's clock within 5 ms");
        check(-1000, 0, "ok       ");
        check(1100, 0, "warning  the store's clock is 1.1 s ahead of this machine's: have both");
        // What the question itself took proves nothing.
        check(1100, 200, "ok       ");
        check(-15_000, 0, "warning  the store's clock is 15.0 s behind this machine's: have both");
        check(-15_100, 0, "problem  the store's clock is 15.1 s behind this machine's, more than tokens");
        check(86_400_000, 2000, "problem  ");
    }
}

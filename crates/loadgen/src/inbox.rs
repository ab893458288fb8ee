//! The delivery check: messages of one sender, numbered 0, 1, 2, …, should come once each, in order.

use std::collections::BTreeSet;
use std::fmt;

/// What one recipient got from their one sender.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The lowest number that is above all that came.
    next: u64,
    /// Numbers below `next` that did not come.
    missing: BTreeSet<u64>,
    /// Numbers that came after a higher one.
    pub(crate) late: Vec<u64>,
    pub(crate) duplicates: u64,
}

impl Inbox {
    pub(crate) fn receive(&mut self, number: u64) {
        if number >= self.next {
            self.missing.extend(self.next..number);
            self.next = number + 1;
        } else if self.missing.remove(&number) {
            self.late.push(number);
        } else {
            self.duplicates += 1;
        }
    }

    /// How many different ones came.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.next).map_or(usize::MAX, |next| next - self.missing.len())
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        number < self.next && !self.missing.contains(&number)
    }
}

/// What recipients got, of messages that were all acknowledged, with what their connections showed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
    pub(crate) gaps: u64,
}

impl Received {
    /// Counts what one got of so many, of which some may come late.
    pub(crate) fn add(&mut self, inbox: &Inbox, n_sent: usize, may_be_late: impl Fn(u64) -> bool) {
        self.lost += n_sent.saturating_sub(inbox.len()) as u64;
        self.duplicates += inbox.duplicates;
        self.out_of_order += inbox.late.iter().filter(|number| !may_be_late(**number)).count() as u64;
    }

    /// Whether all came once and in order.
    pub(crate) fn is_good(&self) -> bool {
        [self.lost, self.duplicates, self.out_of_order, self.gaps] == [0; 4]
    }
}

/// The lines of a report.
impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  lost             {}", self.lost)?;
        writeln!(f, "  duplicates       {}", self.duplicates)?;
        writeln!(f, "  out of order     {}", self.out_of_order)?;
        writeln!(f, "  gaps             {}", self.gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numbers: &[u64], missing: &[u64], late: &[u64], duplicates: u64) {
        let mut inbox = Inbox::default();
        for number in numbers {
            inbox.receive(*number);
        }
        let not_there: Vec<u64> = (0..6).filter(|number| !inbox.has(*number)).collect();
        assert_eq!((not_there.as_slice(), inbox.late.as_slice()), (missing, late));
        assert_eq!(inbox.duplicates, duplicates);
    }

    #[test]
    fn sees_what_is_lost_late_or_doubled() {
        check(&[0, 1, 2, 3, 4, 5], &[], &[], 0);
        check(&[0, 1, 4, 5], &[2, 3], &[], 0);
        check(&[0, 2, 1, 3, 4, 5], &[], &[1], 0);
        check(&[0, 1, 1, 2, 3, 0], &[4, 5], &[], 2);
        check(&[1, 0, 0], &[2, 3, 4, 5], &[0], 1);
    }
}

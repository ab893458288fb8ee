use governor::clock::FakeRelativeClock;

use super::*;

fn limits() -> (NodeLimits<FakeRelativeClock>, FakeRelativeClock) {
    let config = LimitsConfig {
        messages_per_second: 20,
        messages_burst: 5,
        connections_per_user: 2,
        failed_handshakes_per_minute: 6,
        failed_logins_per_minute: 2,
        registrations_per_minute: 3,
        handshakes_in_flight: 1,
        outbound_queue_bytes: 0,
    };
    let clock = FakeRelativeClock::default();
    (NodeLimits::with_clock(&config, clock.clone()), clock)
}

#[test]
fn messages_have_a_burst_then_a_rate() {
    let (limits, clock) = limits();
    let granted = (0..10).filter(|_| limits.check_message(UserId(1)).is_ok()).count();
    assert_eq!(granted, 5);
    assert_eq!(limits.check_message(UserId(1)), Err(RetryAfter { ms: 50 }));
    assert_eq!(limits.check_message(UserId(2)), Ok(()), "a bucket of one's own");
    clock.advance(Duration::from_micros(49_500));
    assert_eq!(limits.check_message(UserId(1)), Err(RetryAfter { ms: 1 }));
    clock.advance(Duration::from_micros(500));
    assert_eq!(limits.check_message(UserId(1)), Ok(()));
    let mut granted = 0;
    for _ in 0..1000 {
        clock.advance(Duration::from_millis(10));
        granted += u32::from(limits.check_message(UserId(1)).is_ok());
    }
    assert_eq!(granted, 200, "20 a second for 10 seconds");
}

#[test]
fn a_change_takes_as_much_as_ten_requests() {
    let (limits, clock) = limits();
    assert_eq!((0..10).filter(|_| limits.check_change(UserId(1)).is_ok()).count(), 5);
    assert_eq!(limits.check_change(UserId(1)), Err(RetryAfter { ms: 50 }));
    assert_eq!(limits.check_request(UserId(1)), Err(RetryAfter { ms: 5 }));
    assert_eq!(limits.check_message(UserId(1)), Ok(()), "another bucket");
    clock.advance(Duration::from_millis(50));
    assert_eq!(limits.check_change(UserId(1)), Ok(()));
    assert_eq!(limits.check_change(UserId(2)), Ok(()));
    assert_eq!((0..50).filter(|_| limits.check_request(UserId(2)).is_ok()).count(), 40);
}

#[test]
fn pruning_forgets_full_buckets_only() {
    let (limits, clock) = limits();
    for user in 0..1000 {
        limits.check_message(UserId(user)).unwrap();
    }
    while limits.check_message(UserId(0)).is_ok() {}
    clock.advance(Duration::from_millis(120));
    limits.prune();
    assert_eq!(limits.messages.len(), 1);
    assert_eq!((0..5).filter(|_| limits.check_message(UserId(0)).is_ok()).count(), 2);
}

#[test]
fn only_failures_count() {
    let mut failures = Tally::new(6);
    let (address, start) = (IpAddr::from([192, 0, 2, 1]), Instant::now());
    for _ in 0..6 {
        assert_eq!(failures.blocked_for(address, start), None);
        failures.record(address, start);
    }
    assert_eq!(failures.blocked_for(address, start), Some(Duration::from_secs(10)));
    assert_eq!(failures.blocked_for(IpAddr::from([192, 0, 2, 2]), start), None);
    for _ in 0..100 {
        failures.record(address, start);
    }
    let later = start + Duration::from_secs(10);
    assert_eq!(failures.blocked_for(address, later), None, "a flood does not lengthen it");
    failures.record(address, later);
    assert_eq!(failures.blocked_for(address, later), Some(Duration::from_secs(10)));
    failures.prune(later + Duration::from_secs(59));
    assert_eq!(failures.full_at.len(), 1);
    failures.prune(later + Duration::from_secs(60));
    assert_eq!(failures.full_at.len(), 0);
}

#[test]
fn addresses_are_bounded() {
    let mut failures = Tally::new(1);
    let now = Instant::now();
    let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
    for n in 0..=Tally::<IpAddr>::MAX_KEYS {
        failures.record(address(n), now);
    }
    assert_eq!(failures.full_at.len(), Tally::<IpAddr>::MAX_KEYS);
    assert!(failures.blocked_for(address(0), now).is_some());
    assert_eq!(failures.blocked_for(address(Tally::<IpAddr>::MAX_KEYS), now), None);
}

#[test]
fn an_address_is_a_network() {
    let (limits, _) = limits();
    let blocked = |text: &str| limits.is_blocked(text.parse().unwrap()).is_some();
    for n in 0..6 {
        limits.record_failure(format!("2001:db8::{n}").parse().unwrap());
        limits.record_failure("::ffff:192.0.2.1".parse().unwrap());
    }
    assert!(blocked("2001:db8::ffff:1") && blocked("192.0.2.1"));
    assert!(!blocked("2001:db8:0:1::1") && !blocked("192.0.2.2"));
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn log_ins_fail_by_name_and_address() {
    let (limits, _) = limits();
    let (office, elsewhere) = (address("2001:db8::1"), address("192.0.2.1"));
    for name in ["Ann", "ann"] {
        assert_eq!(limits.login_blocked("ann", office), None);
        limits.record_login_failure(name, office);
    }
    assert!(limits.login_blocked("ANN", address("2001:db8::ffff")).is_some_and(|wait| wait.ms <= 30_000));
    assert_eq!(limits.login_blocked("ann", elsewhere), None, "nobody is locked out from elsewhere");
    assert_eq!(limits.login_blocked("bob", office), None);
    assert_eq!(limits.login_blocked("ann", None), None);
}

#[test]
fn many_addresses_together_are_stopped_too() {
    let (limits, _) = limits();
    for n in 0..20 {
        assert_eq!(limits.login_blocked("ann", address("198.51.100.1")), None);
        limits.record_login_failure("ann", address(&format!("192.0.2.{n}")));
    }
    assert!(limits.login_blocked("ann", address("198.51.100.1")).is_some());
    assert_eq!(limits.login_blocked("bob", address("198.51.100.1")), None);
}

#[test]
fn many_names_from_one_address_are_stopped_too() {
    let (limits, _) = limits();
    for n in 0..6 {
        assert_eq!(limits.login_blocked("bob", address("192.0.2.1")), None);
        limits.record_login_failure(&n.to_string(), address("192.0.2.1"));
    }
    assert!(limits.login_blocked("bob", address("192.0.2.1")).is_some());
    // Handshakes are counted apart.
    assert_eq!(limits.is_blocked("192.0.2.1".parse().unwrap()), None);
    assert_eq!(limits.login_blocked("bob", address("192.0.2.2")), None);
}

#[test]
fn a_log_in_that_succeeds_does_not_count() {
    let (limits, _) = limits();
    let office = address("192.0.2.1");
    for _ in 0..100 {
        assert_eq!(limits.login_blocked("ann", office), None);
        limits.record_login_failure("ann", office);
        limits.forgive_login("Ann", office);
    }
    limits.record_login_failure("ann", office);
    assert_eq!(limits.login_blocked("ann", office), None);
    limits.record_login_failure("ann", office);
    assert!(limits.login_blocked("ann", office).is_some(), "two failures are two");
    limits.forgive_login("nobody", address("192.0.2.9"));
}

#[tokio::test(start_paused = true)]
async fn every_registration_counts() {
    let (limits, _) = limits();
    let address = |text: &str| -> IpAddr { text.parse().unwrap() };
    for _ in 0..3 {
        assert_eq!(limits.check_registration(address("192.0.2.1")), Ok(()));
    }
    for _ in 0..3 {
        assert_eq!(limits.check_registration(address("192.0.2.1")), Err(RetryAfter { ms: 20_000 }));
    }
    assert_eq!(limits.check_registration(address("192.0.2.2")), Ok(()));
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(limits.check_registration(address("192.0.2.1")), Ok(()), "a refusal takes nothing");
    tokio::time::advance(Duration::from_secs(120)).await;
    limits.prune();
    assert_eq!(lock(&limits.registrations).full_at.len(), 0);
}

#[test]
fn connections_are_given_back() {
    let (limits, _) = limits();
    let first = limits.acquire(UserId(1)).unwrap();
    let second = limits.acquire(UserId(1)).unwrap();
    assert!(limits.acquire(UserId(1)).is_none());
    assert!(limits.acquire(UserId(2)).is_some());
    drop(first);
    let third = limits.acquire(UserId(1)).unwrap();
    assert!(limits.acquire(UserId(1)).is_none());
    drop((second, third));
    assert_eq!(lock(&limits.connections.open).len(), 0);
}

#[test]
fn waits_are_rounded_up() {
    for (wait, ms) in [(0, 1), (1, 1), (1_000_000, 1), (1_000_001, 2)] {
        assert_eq!(RetryAfter::from(Duration::from_nanos(wait)), RetryAfter { ms });
    }
}

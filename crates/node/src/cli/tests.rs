use secrecy::ExposeSecret;

use super::*;

fn parse(line: &str) -> Result<(Task, Overrides), clap::Error> {
    Cli::try_parse_from(line.split_whitespace())?.into_task()
}

#[track_caller]
fn check(line: &str, expect: Task) -> Overrides {
    let (task, overrides) = parse(line).unwrap();
    assert_eq!(task, expect, "{line}");
    overrides
}

#[track_caller]
fn check_refused(line: &str) {
    assert!(parse(line).is_err(), "{line}");
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn serve_is_the_default() {
    check("switchboard", Task::Serve);
    for line in
        ["switchboard --listen a:1", "switchboard serve --listen a:1", "switchboard --listen a:1 serve"]
    {
        assert_eq!(check(line, Task::Serve).listen.as_deref(), Some("a:1"), "{line}");
    }
    for line in ["switchboard --admin-listen a:2", "switchboard serve --listen a:1 --admin-listen a:2"] {
        assert_eq!(check(line, Task::Serve).admin_listen.as_deref(), Some("a:2"), "{line}");
    }
    check_refused("switchboard migrate --admin-listen a:2");
    check_refused("switchboard --listen a:1 migrate");
    check_refused("switchboard migrate --listen a:1");
    check_refused("switchboard --jwt-secret x");
}

#[test]
fn options_of_all_commands_stand_anywhere() {
    let options = "--config c.toml --database-url sqlite://x --redis-url redis://y --data-dir d";
    for line in [format!("switchboard {options} migrate"), format!("switchboard migrate {options}")] {
        let overrides = check(&line, Task::Migrate);
        assert_eq!(overrides.file, Some("c.toml".into()));
        assert_eq!(overrides.database_url.unwrap().expose_secret(), "sqlite://x");
        assert_eq!(overrides.redis_url.unwrap().expose_secret(), "redis://y");
        assert_eq!(overrides.data_dir.as_deref(), Some("d"));
    }
}

#[test]
fn commands() {
    check("switchboard group import g.csv", Task::Group(GroupCommand::Import { file: "g.csv".into() }));
    check("switchboard user import u.csv", Task::User(UserCommand::Import { file: "u.csv".into() }));
    check("switchboard doctor", Task::Doctor(DoctorOptions { audit: false }));
    check("switchboard doctor --audit", Task::Doctor(DoctorOptions { audit: true }));
    let url = Some("http://h/ready".to_owned());
    check("switchboard healthcheck", Task::Healthcheck(HealthcheckOptions { url: None }));
    check("switchboard healthcheck --url http://h/ready", Task::Healthcheck(HealthcheckOptions { url }));
    check_refused("switchboard user");
    check_refused("switchboard frobnicate");
}

#[test]
fn users_are_a_range_with_its_last() {
    let users = UserRange { first: UserId(3), last: UserId(5) };
    assert_eq!(users.iter().collect::<Vec<_>>(), [UserId(3), UserId(4), UserId(5)]);
    let ttl = Duration::from_secs(3600);
    check("switchboard token --users 3..5", Task::Token(TokenOptions { users, ttl }));
    for users in ["5..3", "3", "3..", "..5", "-1..3", "+1..3", "1..9007199254740992", "1...3", "a..b"] {
        check_refused(&format!("switchboard token --users={users}"));
    }
    check_refused("switchboard token");
}

#[test]
fn ttl_is_a_number_and_a_unit() {
    for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800)] {
        assert_eq!(parse_ttl(text), Ok(Duration::from_secs(seconds)));
    }
    for text in ["", "s", "0s", "1", "1w", "-1h", "+1h", "1.5h", "1 h", "367d", "99999999999999999999d"] {
        assert!(parse_ttl(text).is_err(), "{text}");
    }
}

use std::io::Write;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn load(file: &str, environment: &[(&str, &str)], mut overrides: Overrides) -> Result<Config, String> {
    let mut temporary = tempfile::NamedTempFile::new().unwrap();
    temporary.write_all(file.as_bytes()).unwrap();
    overrides.file = Some(temporary.path().to_owned());
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    let path = temporary.path().display().to_string();
    Config::load(&overrides, environment).map_err(|error| error.to_string().replace(&path, "FILE"))
}

#[track_caller]
fn check_error(file: &str, environment: &[(&str, &str)], expect: &str) {
    let error = load(file, environment, Overrides::default()).unwrap_err();
    assert_eq!(error, expect);
}

#[test]
fn defaults_are_complete() {
    let config = Config::load(&Overrides::default(), []).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.limits.messages_per_second, 20);
    assert_eq!(config.limits.outbound_queue_bytes, 1024 * 1024);
    assert_eq!(config.log.format, LogFormat::Pretty);
    assert!(config.store.migrate);
    assert!(config.server.n_workers() > 0);
    assert!(config.redis_url().is_none());
    assert_eq!(config.store_url().expose_secret(), "sqlite://./data/switchboard.db");
    assert_eq!(config.warnings(), [""; 0]);
}

#[test]
fn every_default_has_a_comment() {
    let mut lines = DEFAULTS.lines().peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_some_and(|next| next.contains(" = ") && !next.starts_with('#')) {
            assert!(line.starts_with("# "), "no comment over {:?}", lines.peek());
        }
    }
}

#[test]
fn command_line_over_environment_over_file_over_defaults() {
    let file = "[server]\nlisten = '127.0.0.1:1'\ndata_dir = '/f'\n[limits]\nmessages_burst = 7\n[store]\npool_size = 3";
    let environment = [
        ("SWITCHBOARD_SERVER__LISTEN", "127.0.0.1:2"),
        ("SWITCHBOARD_LISTEN", "127.0.0.1:3"),
        ("SWITCHBOARD_STORE__POOL_SIZE", "5"),
        ("SWITCHBOARD_CHANNEL_LAYER__REDIS_URL", "redis://long"),
        ("SWITCHBOARD_STORE__MIGRATE", "false"),
        ("DATABASE_URL", "postgres://env"),
        ("SWITCHBOARD_DATA_DIR", ""),
    ];
    let config = load(file, &environment, Overrides::default()).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:3", "the short name wins");
    assert_eq!(config.server.data_dir.to_str(), Some("/f"), "an empty variable is not set");
    assert_eq!(config.limits.messages_burst, 7);
    assert_eq!(config.limits.messages_per_second, 20);
    assert_eq!(config.store.pool_size, 5);
    assert!(!config.store.migrate);
    assert_eq!(config.redis_url().unwrap().expose_secret(), "redis://long");

    let overrides = Overrides {
        listen: Some("[::1]:4".into()),
        data_dir: Some("/o".into()),
        database_url: Some("sqlite:///o.db".into()),
        redis_url: Some("rediss://o".into()),
        file: None,
    };
    let config = load(file, &environment, overrides).unwrap();
    assert_eq!(config.server.listen.to_string(), "[::1]:4");
    assert_eq!(config.server.data_dir.to_str(), Some("/o"));
    assert_eq!(config.store_url().expose_secret(), "sqlite:///o.db");
    assert_eq!(config.redis_url().unwrap().expose_secret(), "rediss://o");
}

#[test]
fn a_value_of_the_environment_is_a_text() {
    let secret = "0".repeat(40);
    let config = load("", &[("SWITCHBOARD_JWT_SECRET", &secret)], Overrides::default()).unwrap();
    assert_eq!(config.auth.jwt_secret.expose_secret(), secret);
}

#[test]
fn foreign_variables_are_ignored() {
    let environment = [("SWITCHBOARD_PORT", "tcp://10.0.0.1:80"), ("LIMITS__X", "1"), ("RUST_LOG", "x")];
    load("", &environment, Overrides::default()).unwrap();
}

#[test]
fn an_error_names_key_value_and_origin() {
    check_error(
        "",
        &[("SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND", "abc")],
        "`limits.messages_per_second` is `abc` (from the environment variable \
         SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND): expected an integer from 1 to 1000000",
    );
    check_error(
        "[limits]\nmessages_per_second = 0",
        &[],
        "`limits.messages_per_second` is `0` (from the file FILE): expected an integer from 1 to 1000000",
    );
    check_error(
        "[auth]\ntoken_leeway_seconds = -1",
        &[],
        "`auth.token_leeway_seconds` is `-1` (from the file FILE): expected an integer from 0 to 30",
    );
    check_error(
        "[store]\npool_size = [1]",
        &[],
        "`store.pool_size` is a list (from the file FILE): expected an integer from 1 to 1000",
    );
    check_error(
        "",
        &[("SWITCHBOARD_STORE__MIGRATE", "yes")],
        "`store.migrate` is `yes` (from the environment variable SWITCHBOARD_STORE__MIGRATE): \
         expected `true` or `false`",
    );
    check_error(
        "[log]\nformat = 'xml'",
        &[],
        "`log.format` is `xml` (from the file FILE): expected `pretty` or `json`",
    );
    let overrides = Overrides { listen: Some("8000".into()), ..Overrides::default() };
    assert_eq!(
        load("", &[], overrides).unwrap_err(),
        "`server.listen` is `8000` (from the option --listen): expected an address and a port, \
         such as `127.0.0.1:8000`",
    );
}

#[test]
fn an_error_shows_no_secret() {
    check_error(
        "",
        &[("SWITCHBOARD_JWT_SECRET", "hunter2")],
        "`auth.jwt_secret` (from the environment variable SWITCHBOARD_JWT_SECRET): \
         expected at least 32 bytes, or nothing",
    );
    check_error(
        "",
        &[("DATABASE_URL", "mysql://root:hunter2@db")],
        "`store.database_url` (from the environment variable DATABASE_URL): \
         expected `postgres://…`, `postgresql://…` or `sqlite://PATH`",
    );
    for scheme in ["redis-sentinel", "redis-cluster", "valkey"] {
        check_error(
            "",
            &[("REDIS_URL", &format!("{scheme}://:hunter2@h"))],
            "`channel_layer.redis_url` (from the environment variable REDIS_URL): expected `redis://…` or \
             `rediss://…` (`redis-sentinel://` and `redis-cluster://` come in a later version)",
        );
    }
    check_error("[auth]\njwt_secret = 5", &[], "`auth.jwt_secret` (from the file FILE): expected a string");
    let error = load("[auth]\njwt_secret = \"hunter2\nx", &[], Overrides::default()).unwrap_err();
    assert!(error.starts_with("the file FILE is no TOML: line 2: "), "{error}");
    assert!(!error.contains("hunter2"), "{error}");

    let environment = [
        ("SWITCHBOARD_JWT_SECRET", SECRET),
        ("DATABASE_URL", "postgres://u:hunter2@db"),
        ("REDIS_URL", "redis://:hunter2@r"),
    ];
    let config = load("", &environment, Overrides::default()).unwrap();
    let debug =
        format!("{config:?} {:#?}", Overrides { redis_url: Some(SECRET.into()), ..Default::default() });
    assert!(!debug.contains("hunter2") && !debug.contains(SECRET), "{debug}");
}

#[test]
fn an_unknown_name_is_refused() {
    check_error(
        "",
        &[("SWITCHBOARD_LOG__COLOUR", "no")],
        "`log.colour` (from the environment variable SWITCHBOARD_LOG__COLOUR) is no key of the \
         configuration: `log` has `format`, `level`",
    );
    check_error(
        "[metrics]\non = true",
        &[],
        "`metrics` (from the file FILE) is no section of the configuration: expected one of `auth`, \
         `channel_layer`, `limits`, `log`, `server`, `store`",
    );
    check_error("log = 'info'", &[], "`log` (from the file FILE) is not a section: write [log]");
    let overrides = Overrides { file: Some("/nowhere/x.toml".into()), ..Overrides::default() };
    let error = Config::load(&overrides, []).unwrap_err().to_string();
    assert!(error.starts_with("the file /nowhere/x.toml cannot be read: "), "{error}");
}

#[test]
fn risky_pairs_are_warned_of() {
    let environment = [("DATABASE_URL", "postgresql://db/x"), ("SWITCHBOARD_LISTEN", "0.0.0.0:8000")];
    let warnings = load("", &environment, Overrides::default()).unwrap().warnings();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("two nodes would only meet by the sweep"));
    assert!(warnings[1].starts_with("`server.listen` is `0.0.0.0:8000`"));
    let safe =
        [environment[0], environment[1], ("REDIS_URL", "redis://r"), ("SWITCHBOARD_JWT_SECRET", SECRET)];
    assert_eq!(load("", &safe, Overrides::default()).unwrap().warnings(), [""; 0]);
}

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
    assert_eq!(config.attachments.max_bytes, 25 * 1024 * 1024);
    assert_eq!(config.auth.session_ttl().as_secs(), 14 * 24 * 3600);
    assert!(config.auth.accounts && config.auth.registration);
    assert!(!config.messages.only_in_groups && config.messages.keep_versions);
    assert_eq!(config.messages.edit_within(), 24 * 3600 * 1_000_000);
    assert_eq!(
        (&config.server.public_url, &config.auth.jwt_issuer, &config.auth.jwks_file),
        (&None, &None, &None)
    );
    assert!(config.server.trusted_proxies.is_empty() && config.server.allowed_origins.is_empty());
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
        admin_listen: Some("[::1]:5".into()),
        data_dir: Some("/o".into()),
        database_url: Some("sqlite:///o.db".into()),
        redis_url: Some("rediss://o".into()),
        file: None,
    };
    let config = load(file, &environment, overrides).unwrap();
    assert_eq!(config.server.listen.to_string(), "[::1]:4");
    assert_eq!(config.server.admin_listen.map(|address| address.port()), Some(5));
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
fn a_secret_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (database, redis) = (write("database", b"postgres://u:p@db/x\n"), write("redis", b"redis://r\r\n"));
    let secret = write("secret", format!(" {SECRET}\n\n").as_bytes());
    let environment = [
        ("DATABASE_URL_FILE", database.as_str()),
        ("SWITCHBOARD_STORE__DATABASE_URL", "postgres://long"),
        ("REDIS_URL_FILE", redis.as_str()),
        ("SWITCHBOARD_JWT_SECRET_FILE", secret.as_str()),
        ("SWITCHBOARD_JWT_SECRET", ""),
    ];
    let config = load("", &environment, Overrides::default()).unwrap();
    assert_eq!(config.store_url().expose_secret(), "postgres://u:p@db/x", "it is a short name");
    assert_eq!(config.redis_url().unwrap().expose_secret(), "redis://r");
    assert_eq!(
        config.auth.jwt_secret.expose_secret(),
        format!(" {SECRET}\n"),
        "one newline is not of the value"
    );

    check_error(
        "",
        &[("DATABASE_URL", "postgres://db"), ("DATABASE_URL_FILE", "/nowhere")],
        "the environment variables DATABASE_URL and DATABASE_URL_FILE are both set: keep one of them",
    );
    check_error(
        "",
        &[("REDIS_URL_FILE", "/nowhere/redis")],
        "the file /nowhere/redis of the environment variable REDIS_URL_FILE cannot be read: \
         No such file or directory (os error 2)",
    );
    for (name, text, expect) in [
        ("empty", b"\n".as_slice(), " is empty"),
        ("bytes", b"hunter2\xff", " cannot be read: stream did not contain valid UTF-8"),
    ] {
        let path = write(name, text);
        let origin = format!("the file {path} of the environment variable SWITCHBOARD_JWT_SECRET_FILE");
        check_error("", &[("SWITCHBOARD_JWT_SECRET_FILE", &path)], &format!("{origin}{expect}"));
    }
    let short = write("short", b"hunter2");
    check_error(
        "",
        &[("SWITCHBOARD_JWT_SECRET_FILE", &short)],
        &format!(
            "`auth.jwt_secret` (from the file {short} of the environment variable SWITCHBOARD_JWT_SECRET_FILE): \
             expected at least 32 bytes, or nothing"
        ),
    );
    load("", &[("SWITCHBOARD_LISTEN_FILE", "/nowhere")], Overrides::default()).expect("no secret, no file");
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
        "[messages]\nedit_seconds = -1",
        &[],
        "`messages.edit_seconds` is `-1` (from the file FILE): expected an integer from 0 to 3153600000",
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
    for (text, shown) in [("1.01", "1.01"), ("-0.1", "-0.1"), ("NaN", "NaN"), ("2", "2"), ("half", "half")] {
        check_error(
            "",
            &[("SWITCHBOARD_LOG__OTLP_SAMPLE_RATIO", text)],
            &format!(
                "`log.otlp_sample_ratio` is `{shown}` (from the environment variable \
                 SWITCHBOARD_LOG__OTLP_SAMPLE_RATIO): expected a number from 0 to 1"
            ),
        );
    }
    for url in ["collector:4318", "grpc://collector:4317", "http://a:b@collector", "http://collector?token=x"]
    {
        check_error(
            "",
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", url)],
            &format!(
                "`log.otlp_endpoint` is `{url}` (from the environment variable OTEL_EXPORTER_OTLP_ENDPOINT): \
                 expected an address of a collector, such as `http://collector:4318`, or nothing"
            ),
        );
    }
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
         configuration: `log` has `addresses`, `format`, `level`, `otlp_endpoint`, `otlp_sample_ratio`",
    );
    check_error(
        "[metrics]\non = true",
        &[],
        "`metrics` (from the file FILE) is no section of the configuration: expected one of \
         `attachments`, `auth`, `channel_layer`, `limits`, `log`, `messages`, `server`, `store`",
    );
    check_error("log = 'info'", &[], "`log` (from the file FILE) is not a section: write [log]");
    let overrides = Overrides { file: Some("/nowhere/x.toml".into()), ..Overrides::default() };
    let error = Config::load(&overrides, []).unwrap_err().to_string();
    assert!(error.starts_with("the file /nowhere/x.toml cannot be read: "), "{error}");
}

#[test]
fn lists_are_lists_or_texts_with_commas() {
    let file = "[server]\ntrusted_proxies = ['10.0.0.0/8', '::1']\nallowed_origins = ['https://a.example']";
    let environment = [
        ("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("SWITCHBOARD_SERVER__ALLOWED_ORIGINS", "https://a.example,"),
    ];
    for config in [load(file, &[], Overrides::default()), load("", &environment, Overrides::default())] {
        let server = config.unwrap().server;
        let networks: Vec<String> = server.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
        let origins: Vec<String> =
            server.allowed_origins.iter().map(url::Origin::ascii_serialization).collect();
        assert_eq!(origins, ["https://a.example"]);
    }
    check_error(
        "[server]\ntrusted_proxies = ['10.0.0.0/8', 'proxy']",
        &[],
        "`server.trusted_proxies` is a list (from the file FILE): expected networks, such as `10.0.0.0/8` or `::1`, \
         not `proxy`",
    );
    check_error(
        "",
        &[("SWITCHBOARD_SERVER__ALLOWED_ORIGINS", "https://a.example, *")],
        "`server.allowed_origins` is `https://a.example, *` (from the environment variable \
         SWITCHBOARD_SERVER__ALLOWED_ORIGINS): expected origins, such as `https://chat.example`, not `*`",
    );
    check_error(
        "[server]\ntrusted_proxies = [1]",
        &[],
        "`server.trusted_proxies.0` (from the file FILE): expected a string",
    );
    check_error(
        "[server]\ntrusted_proxies = 1",
        &[],
        "`server.trusted_proxies` is `1` (from the file FILE): expected a list of networks, such as `10.0.0.0/8` or \
         `::1`",
    );
}

/// Whether this text can be the value of that variable, which begins with `SWITCHBOARD_`.
#[track_caller]
fn check_value(variable: &str, text: &str, is_good: bool) {
    let variable = format!("SWITCHBOARD_{variable}");
    let trusted = [("SWITCHBOARD_AUTH__JWT_ISSUER", "x"), ("SWITCHBOARD_AUTH__JWT_AUDIENCE", "x")];
    let environment = [trusted[0], trusted[1], (variable.as_str(), text)];
    let config = load("", &environment, Overrides::default());
    assert_eq!(config.is_ok(), is_good, "{variable}={text}: {:?}", config.err());
}

#[test]
fn addresses_of_the_outside() {
    for url in ["https://chat.example", "https://chat.example/", "http://127.0.0.1:8000"] {
        check_value("SERVER__PUBLIC_URL", url, true);
    }
    for url in [
        "chat.example",
        "https://chat.example/x",
        "https://chat.example/?x",
        "wss://chat.example",
        "https://u@x",
    ] {
        check_value("SERVER__PUBLIC_URL", url, false);
    }
    for origin in ["https://a.example/", "null", "a.example", "https://*.example", "https://u:p@a.example"] {
        check_value("SERVER__ALLOWED_ORIGINS", origin, false);
    }
    for url in ["https://login.example/keys", "http://localhost:1/keys", "http://127.0.0.1/", "http://[::1]/"]
    {
        check_value("JWKS_URL", url, true);
    }
    for url in [
        "http://login.example/",
        "http://localhost.evil.example/",
        "file:///keys",
        "https://u:p@login.example/",
    ] {
        check_value("JWKS_URL", url, false);
    }
    for issuer in ["switchboard", "two words", "tab\t"] {
        check_value("AUTH__JWT_ISSUER", issuer, false);
    }
    for url in ["file:///srv/files", "file:///srv/a%20b", "s3://bucket", "s3://bucket/pre/fix"] {
        check_value("ATTACHMENTS__URL", url, true);
    }
    for url in [
        "file://files",
        "file:files",
        "/srv/files",
        "s3://",
        "s3://key:secret@bucket",
        "https://x",
        "s3://b?x",
    ] {
        check_value("ATTACHMENTS__URL", url, false);
    }
}

#[test]
fn keys_of_an_issuer_need_its_name_and_ours() {
    let url = ("SWITCHBOARD_JWKS_URL", "https://login.example/keys");
    let (issuer, audience) = (("SWITCHBOARD_AUTH__JWT_ISSUER", "x"), ("SWITCHBOARD_AUTH__JWT_AUDIENCE", "x"));
    load("", &[url, issuer, audience], Overrides::default()).unwrap();
    check_error(
        "",
        &[url, audience],
        "`auth.jwks_url` is set and `auth.jwt_issuer` is empty: tokens under its keys must name their issuer and us",
    );
    check_error(
        "[auth]\njwks_file = 'keys.json'",
        &[issuer],
        "`auth.jwks_file` is set and `auth.jwt_audience` is empty: tokens under its keys must name their issuer and us",
    );
    check_error(
        "[auth]\njwks_file = 'keys.json'",
        &[url, issuer, audience],
        "`auth.jwks_url` and `auth.jwks_file` are both set: keep one of them",
    );
}

#[test]
fn operators_have_an_address_of_their_own_or_none() {
    for (listen, admin, is_good) in [
        ("127.0.0.1:8000", "", true),
        ("127.0.0.1:8000", "127.0.0.1:9000", true),
        ("127.0.0.1:8000", "127.0.0.2:8000", true),
        ("127.0.0.1:0", "127.0.0.1:0", true),
        ("127.0.0.1:8000", "127.0.0.1:8000", false),
        ("0.0.0.0:8000", "127.0.0.1:8000", false),
        ("127.0.0.1:8000", "9000", false),
    ] {
        let environment = [("SWITCHBOARD_LISTEN", listen), ("SWITCHBOARD_ADMIN_LISTEN", admin)];
        assert_eq!(load("", &environment, Overrides::default()).is_ok(), is_good, "{listen} and {admin}");
    }
    check_error(
        "server.drain_seconds = 0",
        &[],
        "`server.drain_seconds` is `0` (from the file FILE): expected an integer from 1 to 3600",
    );
}

#[test]
fn what_is_seldom_meant_is_warned_of() {
    let warnings =
        |environment: &[(&str, &str)]| load("", environment, Overrides::default()).unwrap().warnings();
    let open = [("DATABASE_URL", "postgresql://db/x"), ("SWITCHBOARD_LISTEN", "0.0.0.0:8000")];
    assert_eq!(warnings(&open).len(), 1);
    assert!(warnings(&open)[0].contains("two nodes would only meet by the sweep"));
    assert_eq!(warnings(&[open[0], open[1], ("REDIS_URL", "redis://r")]), [""; 0], "there are accounts");

    let alone = warnings(&[("REDIS_URL", "redis://r")]);
    assert!(alone.len() == 1 && alone[0].contains("the store is SQLite, which serves one node"), "{alone:?}");

    let (tls, proxy) = (
        ("SWITCHBOARD_SERVER__PUBLIC_URL", "https://chat.example"),
        ("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "10.0.0.1"),
    );
    let unnamed = warnings(&[tls]);
    assert!(
        unnamed[0].starts_with("`server.public_url` is https and `server.trusted_proxies`"),
        "{unnamed:?}"
    );
    assert_eq!(warnings(&[tls, proxy]), [""; 0]);

    let closed = ("SWITCHBOARD_AUTH__ACCOUNTS", "false");
    assert!(warnings(&[closed])[0].starts_with("`auth.accounts` is false and neither"));
    assert_eq!(warnings(&[closed, ("SWITCHBOARD_JWT_SECRET", SECRET)]), [""; 0]);
    let everybody = warnings(&[("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/0")]);
    assert!(everybody[0].starts_with("`server.trusted_proxies` has `0.0.0.0/0`"), "{everybody:?}");
}

//! Where values come from, and the sentence that says what is wrong with one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use secrecy::ExposeSecret;

use super::{Config, ConfigError, DEFAULTS, Overrides};

/// Keys whose values never stand in a message.
const SECRETS: [&str; 3] = ["store.database_url", "channel_layer.redis_url", "auth.jwt_secret"];

/// Keys with a short name in the environment. Those of [`SECRETS`] also have one that ends in [`FILE_SUFFIX`].
const SHORT_NAMES: [(&str, &str); 8] = [
    ("SWITCHBOARD_LISTEN", "server.listen"),
    ("SWITCHBOARD_ADMIN_LISTEN", "server.admin_listen"),
    ("SWITCHBOARD_DATA_DIR", "server.data_dir"),
    ("DATABASE_URL", "store.database_url"),
    ("REDIS_URL", "channel_layer.redis_url"),
    ("SWITCHBOARD_JWT_SECRET", "auth.jwt_secret"),
    ("SWITCHBOARD_JWKS_URL", "auth.jwks_url"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "log.otlp_endpoint"),
];

/// `NAME_FILE` names the file that holds the value of `NAME`: so Docker and Kubernetes hand over secrets, which then show
/// neither in the environment of a process nor in the description of a container.
const FILE_SUFFIX: &str = "_FILE";

/// Values that come from one place: a file, one variable, one option.
pub(super) struct Layer {
    /// As it stands in a message: "the file x.toml".
    origin: String,
    values: Dict,
}

impl Layer {
    fn of_one(origin: String, section: &str, key: &str, text: &str) -> Self {
        let section_values = Dict::from([(key.to_owned(), Value::from(text))]);
        Self { origin, values: Dict::from([(section.to_owned(), Value::from(section_values))]) }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// The file that is compiled in.
pub(super) fn defaults() -> Result<Layer, ConfigError> {
    parse("the defaults".to_owned(), DEFAULTS)
}

/// The file of `--config`.
pub(super) fn file(path: &Path) -> Result<Layer, ConfigError> {
    let origin = format!("the file {}", path.display());
    match std::fs::read_to_string(path) {
        Ok(text) => parse(origin, &text),
        Err(error) => Err(ConfigError(format!("{origin} cannot be read: {error}"))),
    }
}

fn parse(origin: String, text: &str) -> Result<Layer, ConfigError> {
    match Toml::from_str(text) {
        Ok(values) => Ok(Layer { origin, values }),
        // Not the whole error: it quotes the line, and there may be a secret in it.
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
            Err(ConfigError(format!("{origin} is no TOML: line {line}: {}", error.message())))
        }
    }
}

/// The variables that mean us. Other names with our prefix are ignored: Kubernetes makes some for a service.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<Layer>, ConfigError> {
    let mut texts = BTreeMap::new();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else { continue };
        let is_short = SHORT_NAMES.iter().any(|(short, _)| *short == name);
        let is_file = secret_names().any(|short| name.strip_suffix(FILE_SUFFIX) == Some(short));
        if value.is_empty() || !(is_short || is_file || long_name(&name).is_some()) {
            continue;
        }
        let not_text = |_| ConfigError(format!("the environment variable {name} is not UTF-8"));
        texts.insert(name.clone(), value.into_string().map_err(not_text)?);
    }
    let long = texts.iter().filter_map(|(name, text)| {
        let (section, key) = long_name(name)?;
        Some(Layer::of_one(origin_of(name), &section, &key, text))
    });
    let mut layers: Vec<Layer> = long.collect();
    for (name, path) in SHORT_NAMES {
        let Some((section, key)) = path.split_once('.') else { continue };
        if let Some((origin, text)) = value_of(name, &texts)? {
            layers.push(Layer::of_one(origin, section, key, &text));
        }
    }
    Ok(layers)
}

/// Short names that may also name a file.
fn secret_names() -> impl Iterator<Item = &'static str> {
    SHORT_NAMES.into_iter().filter(|(_, path)| SECRETS.contains(path)).map(|(name, _)| name)
}

/// Where the value under a short name comes from, and the value: the variable's own, or what its file holds.
fn value_of(name: &str, texts: &BTreeMap<String, String>) -> Result<Option<(String, String)>, ConfigError> {
    let file_name = format!("{name}{FILE_SUFFIX}");
    match (texts.get(name), texts.get(&file_name)) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some((origin_of(name), text.clone()))),
        (None, Some(path)) => {
            let origin = format!("the file {path} of {}", origin_of(&file_name));
            secret_in(path, &origin).map(|text| Some((origin, text)))
        }
        (Some(_), Some(_)) => Err(ConfigError(format!(
            "the environment variables {name} and {file_name} are both set: keep one of them"
        ))),
    }
}

/// What the file holds, without the newline that editors and shells put at its end.
fn secret_in(path: &str, origin: &str) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("{origin} cannot be read: {error}")))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    match line.strip_suffix('\r').unwrap_or(line) {
        // Not as an empty variable, which counts as not set: the node would start on another store than was meant.
        "" => Err(ConfigError(format!("{origin} is empty"))),
        value => Ok(value.to_owned()),
    }
}

fn origin_of(variable: &str) -> String {
    format!("the environment variable {variable}")
}

/// Section and key that `SWITCHBOARD_SECTION__KEY` means.
fn long_name(variable: &str) -> Option<(String, String)> {
    let (section, key) = variable.strip_prefix("SWITCHBOARD_")?.split_once("__")?;
    Some((section.to_ascii_lowercase(), key.to_ascii_lowercase()))
}

/// The options that are given.
pub(super) fn command_line(overrides: &Overrides) -> Vec<Layer> {
    let Overrides { file: _, listen, admin_listen, data_dir, database_url, redis_url } = overrides;
    let options = [
        ("--listen", "server", "listen", listen.as_deref()),
        ("--admin-listen", "server", "admin_listen", admin_listen.as_deref()),
        ("--data-dir", "server", "data_dir", data_dir.as_deref()),
        ("--database-url", "store", "database_url", database_url.as_ref().map(|url| url.expose_secret())),
        ("--redis-url", "channel_layer", "redis_url", redis_url.as_ref().map(|url| url.expose_secret())),
    ];
    let given = options.into_iter().filter_map(|(option, section, key, text)| {
        Some(Layer::of_one(format!("the option {option}"), section, key, text?))
    });
    given.collect()
}

/// The configuration that the layers make, each over those before it.
pub(super) fn extract(defaults: Layer, above: Vec<Layer>) -> Result<Config, ConfigError> {
    for layer in &above {
        check_names(layer, &defaults.values)?;
    }
    let figment = above.into_iter().fold(Figment::from(defaults), Figment::merge);
    figment.extract().map_err(|error| explain(&figment, error))
}

/// Every key stands in the defaults, so what does not is misspelt.
fn check_names(layer: &Layer, defaults: &Dict) -> Result<(), ConfigError> {
    let origin = &layer.origin;
    for (section, values) in &layer.values {
        let Some(known) = defaults.get(section).and_then(Value::as_dict) else {
            let sections = list(defaults);
            return Err(ConfigError(format!(
                "`{section}` (from {origin}) is no section of the configuration: expected one of {sections}"
            )));
        };
        let Some(values) = values.as_dict() else {
            return Err(ConfigError(format!(
                "`{section}` (from {origin}) is not a section: write [{section}]"
            )));
        };
        if let Some(key) = values.keys().find(|key| !known.contains_key(*key)) {
            let keys = list(known);
            return Err(ConfigError(format!(
                "`{section}.{key}` (from {origin}) is no key of the configuration: `{section}` has {keys}"
            )));
        }
    }
    Ok(())
}

fn list(names: &Dict) -> String {
    names.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn explain(figment: &Figment, error: Error) -> ConfigError {
    let key = error.path.join(".");
    let origin = error.metadata.map_or_else(|| "an unknown place".into(), |metadata| metadata.name);
    let is = match figment.find_value(&key) {
        Ok(value) if !SECRETS.contains(&key.as_str()) => format!(" is {}", show(&value)),
        _ => String::new(),
    };
    let expected = match error.kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => format!("expected {expected}"),
        // None of these names a value.
        kind @ (Kind::MissingField(_) | Kind::UnknownField(..) | Kind::DuplicateField(_)) => kind.to_string(),
        _ => "it cannot be read".to_owned(),
    };
    ConfigError(format!("`{key}`{is} (from {origin}): {expected}"))
}

fn show(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("`{text}`"),
        Value::Char(_, char) => format!("`{char}`"),
        Value::Bool(_, flag) => format!("`{flag}`"),
        Value::Num(_, number) => match (number.to_i128(), number.to_u128(), number.to_f64()) {
            (Some(number), _, _) => format!("`{number}`"),
            (_, Some(number), _) => format!("`{number}`"),
            (_, _, Some(number)) => format!("`{number}`"),
            _ => "a number".to_owned(),
        },
        Value::Array(..) => "a list".to_owned(),
        Value::Dict(..) => "a table".to_owned(),
        Value::Empty(..) => "nothing".to_owned(),
    }
}

//! The command line: what can be asked of the binary, and nothing of how it is done.
//!
//! What concerns the configuration goes to [`crate::config`] as [`Overrides`], unchecked, so that an error
//! reads the same wherever a value came from. The secret of tokens has no option: those show in process lists.

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use secrecy::SecretString;
use switchboard_protocol::UserId;
use switchboard_protocol::ids::MAX_ID;

use crate::config::Overrides;

/// A self-hosted messaging service. Without a command, it serves.
#[derive(Clone, Debug, Parser)]
#[command(name = "switchboard", version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(flatten)]
    serve: ServeOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "Any key of the configuration is also read from the environment, as SWITCHBOARD_SECTION__KEY. \
                          The secret that signs tokens is SWITCHBOARD_JWT_SECRET.";

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
struct GlobalOptions {
    /// Configuration file, in TOML
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Where messages live: postgres://… or sqlite://PATH [environment: DATABASE_URL]"
    )]
    database_url: Option<SecretString>,
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "How nodes meet: redis://… or rediss://… [environment: REDIS_URL]"
    )]
    redis_url: Option<SecretString>,
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        help = "Folder of what this node keeps on disk [environment: SWITCHBOARD_DATA_DIR]"
    )]
    data_dir: Option<String>,
}

/// What `serve` takes.
#[derive(Clone, Debug, Default, Args)]
struct ServeOptions {
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        help = "Address and port to listen on [environment: SWITCHBOARD_LISTEN]"
    )]
    listen: Option<String>,
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        help = "Another one for health and metrics alone [environment: SWITCHBOARD_ADMIN_LISTEN]"
    )]
    admin_listen: Option<String>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Run a node (the default)
    Serve(ServeOptions),
    /// Bring the schema of the store up to date
    Migrate,
    /// After a backup was restored, with all nodes stopped: have every client load anew
    Restored,
    /// Manage users
    #[command(subcommand)]
    User(UserCommand),
    /// Manage groups
    #[command(subcommand)]
    Group(GroupCommand),
    /// Manage the keys of back ends
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Print tokens for scripts and load tests, one user a line
    Token(TokenOptions),
    /// Check the configuration and what it points to
    Doctor(DoctorOptions),
    /// Ask a running node whether it is ready; the exit status is the answer
    Healthcheck(HealthcheckOptions),
}

/// What the binary is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Run a node.
    Serve,
    /// Bring the schema of the store up to date.
    Migrate,
    /// Have every client load anew.
    Restored,
    /// Manage users.
    User(UserCommand),
    /// Manage groups.
    Group(GroupCommand),
    /// Manage the keys of back ends.
    ApiKey(ApiKeyCommand),
    /// Print tokens.
    Token(TokenOptions),
    /// Check the configuration and what it points to.
    Doctor(DoctorOptions),
    /// Ask a running node whether it is ready.
    Healthcheck(HealthcheckOptions),
}

/// What `user` does.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum UserCommand {
    /// Create the users of a file and print `id<TAB>username`
    Import {
        /// CSV with the header line `username,full_name,password?`
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
    },
    /// End a user's sessions and tokens, and let them in no more
    Disable {
        /// The user name
        #[arg(value_name = "NAME")]
        username: String,
    },
    /// Let a disabled user in again; tokens from before stay ended
    Enable {
        /// The user name
        #[arg(value_name = "NAME")]
        username: String,
    },
}

/// What `group` does.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum GroupCommand {
    /// Make the groups of a file, or add to those of an earlier one, and print `id<TAB>title`
    Import {
        /// CSV with the header line `title,username,role?`, a line a member; role is `owner` or `member`
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
    },
}

/// What `api-key` does.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ApiKeyCommand {
    /// Make a key and print it; it is shown only now
    Create {
        /// What it is called in lists
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Print `name<TAB>created<TAB>state` for each key
    List,
    /// End a key, and what was opened with it
    Revoke {
        /// What it is called in lists
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// What `token` takes.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct TokenOptions {
    /// Ids of the users, LAST included
    #[arg(long, value_name = "FIRST..LAST", value_parser = parse_users)]
    pub users: UserRange,
    /// How long the tokens count: a number and s, m, h or d
    #[arg(long, default_value = "1h", value_parser = parse_ttl)]
    pub ttl: Duration,
}

/// What `doctor` takes.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct DoctorOptions {
    /// Also count what breaks the store's invariants; this reads everything and may take long
    #[arg(long)]
    pub audit: bool,
}

/// What `healthcheck` takes.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct HealthcheckOptions {
    /// Address to ask; without it, /ready at the address that the configuration listens on
    #[arg(long)]
    pub url: Option<String>,
}

/// Users with ids from a first to a last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRange {
    /// The first.
    pub first: UserId,
    /// The last; not below the first.
    pub last: UserId,
}

impl UserRange {
    /// The users, in order.
    pub fn iter(self) -> impl Iterator<Item = UserId> {
        let ids: RangeInclusive<i64> = self.first.0..=self.last.0;
        ids.map(UserId)
    }
}

impl Cli {
    /// What is to be done, and what was said about the configuration.
    ///
    /// # Errors
    /// If options are given that the command does not take.
    pub fn into_task(self) -> Result<(Task, Overrides), clap::Error> {
        let Self { global, serve, command } = self;
        let task = match command {
            None => Task::Serve,
            Some(Command::Serve(options)) => {
                let listen = options.listen.or(serve.listen);
                let admin_listen = options.admin_listen.or(serve.admin_listen);
                return Ok((Task::Serve, global.into_overrides(ServeOptions { listen, admin_listen })));
            }
            Some(Command::Migrate) => Task::Migrate,
            Some(Command::Restored) => Task::Restored,
            Some(Command::User(command)) => Task::User(command),
            Some(Command::Group(command)) => Task::Group(command),
            Some(Command::ApiKey(command)) => Task::ApiKey(command),
            Some(Command::Token(options)) => Task::Token(options),
            Some(Command::Doctor(options)) => Task::Doctor(options),
            Some(Command::Healthcheck(options)) => Task::Healthcheck(options),
        };
        let of_serve = [("--listen", &serve.listen), ("--admin-listen", &serve.admin_listen)];
        let given = of_serve.into_iter().find(|(_, value)| task != Task::Serve && value.is_some());
        if let Some((option, _)) = given {
            let message = format!("{option} is an option of `switchboard serve`");
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        Ok((task, global.into_overrides(serve)))
    }
}

impl GlobalOptions {
    fn into_overrides(self, serve: ServeOptions) -> Overrides {
        let Self { config, database_url, redis_url, data_dir } = self;
        let ServeOptions { listen, admin_listen } = serve;
        Overrides { file: config, listen, admin_listen, data_dir, database_url, redis_url }
    }
}

/// `FIRST..LAST`.
fn parse_users(text: &str) -> Result<UserRange, String> {
    let range = text.split_once("..").and_then(|(first, last)| {
        let (first, last) = (parse_id(first)?, parse_id(last)?);
        (first <= last).then_some(UserRange { first, last })
    });
    range.ok_or_else(|| "expected FIRST..LAST, two user ids in ascending order, such as 1..1000".to_owned())
}

fn parse_id(text: &str) -> Option<UserId> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let id = text.parse().ok().filter(|id| is_digits && *id <= MAX_ID);
    id.map(UserId)
}

/// A number and a unit: `90s`, `15m`, `1h`, `7d`.
fn parse_ttl(text: &str) -> Result<Duration, String> {
    const YEAR: u64 = 366 * 24 * 3600;
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];
    let seconds = units.into_iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(unit)?;
        let is_digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| is_digits)?;
        number.checked_mul(seconds)
    });
    match seconds {
        Some(seconds @ 1..=YEAR) => Ok(Duration::from_secs(seconds)),
        _ => Err("expected a number and s, m, h or d, such as 90s or 1h, at most 366d".to_owned()),
    }
}

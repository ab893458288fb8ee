//! The commands, as an operator runs them: processes of the built binary, each test in a folder of its own.

mod config;
mod doctor;
mod groups;
mod identity;
mod serve;
mod stop;
mod store;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::harness::{DEADLINE, SECRET, servers, switchboard};

/// A test without a cluster.
type Run = fn(Folder) -> anyhow::Result<()>;

/// A test that makes its folder itself.
type RunAlone = fn() -> anyhow::Result<()>;

/// A [`Trial`]'s name and function, named after the function.
macro_rules! named {
    ($($function:path),* $(,)?) => { &[$((stringify!($function), $function as Run)),*] };
}

const TESTS: &[(&str, Run)] = named![
    config::a_bad_value_is_named_with_its_key,
    config::a_taken_port_is_named,
    config::help_needs_nothing,
    config::tokens_need_a_secret,
    doctor::all_is_well_on_sqlite,
    doctor::files_that_cannot_be_kept_are_a_problem,
    doctor::nothing_is_made_to_look_at_it,
    doctor::keys_that_cannot_be_read_are_a_problem,
    doctor::a_low_limit_on_files_is_named,
    groups::groups_are_imported_beside_a_node,
    groups::a_bad_file_makes_no_group,
    serve::a_low_soft_limit_on_files_is_raised,
    serve::nothing_goes_wrong_on_purpose,
    identity::keys_are_made_listed_and_revoked,
    identity::users_are_disabled_and_enabled,
    identity::imported_passwords_are_those_to_log_in_by,
    serve::a_node_says_where_it_is_and_nothing_secret,
    serve::a_file_is_served_once,
    serve::a_signal_right_after_the_first_line_is_heard,
    stop::an_idle_node_ends_quickly,
    stop::a_second_signal_ends_at_once,
    stop::a_slow_upload_is_finished,
    stop::a_log_that_nobody_reads_holds_up_nothing,
    stop::operators_have_an_address_of_their_own,
    serve::a_killed_node_has_lost_nothing,
    serve::a_health_check_tells_by_its_status,
    serve::printed_tokens_are_accepted,
    store::migrating_twice_is_migrating_once,
    store::what_is_stored_is_for_its_owner_alone,
    store::a_doctor_examines_the_store,
    store::a_doctor_tells_no_secret,
    store::users_are_imported_and_renamed,
    store::a_bad_file_is_imported_not_at_all,
];

/// What needs Postgres and Redis.
const WITH_SERVERS: &[(&str, RunAlone)] = &[
    ("doctor::all_is_well_on_postgres_and_redis", doctor::all_is_well_on_postgres_and_redis),
    ("doctor::what_loses_messages_is_named", doctor::what_loses_messages_is_named),
    ("doctor::what_does_not_answer_takes_seconds", doctor::what_does_not_answer_takes_seconds),
    ("doctor::a_newer_schema_is_served", doctor::a_newer_schema_is_served),
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |(name, run): &(&'static str, Run)| {
        let run = *run;
        Trial::test(format!("command_line::{name}"), move || Ok(run(Folder::new()?)?))
    };
    let without_servers = !servers::missing().is_empty() && !servers::required();
    let with_servers = |(name, run): &(&'static str, RunAlone)| {
        let run = *run;
        let trial = Trial::test(format!("command_line::{name}"), move || Ok(run()?));
        trial.with_ignored_flag(without_servers)
    };
    TESTS.iter().map(trial).chain(WITH_SERVERS.iter().map(with_servers)).collect()
}

/// Where a test's files are, and the environment of its commands.
struct Folder {
    folder: TempDir,
    settings: Vec<(String, String)>,
}

/// What came of a command that ended.
struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data").display().to_string();
        let settings = [
            ("SWITCHBOARD_JWT_SECRET", SECRET),
            ("SWITCHBOARD_LISTEN", "127.0.0.1:0"),
            ("SWITCHBOARD_DATA_DIR", &data),
            ("SWITCHBOARD_SERVER__DRAIN_QUIET_SECONDS", "0"),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        Ok(Self { folder, settings })
    }

    /// The same with one variable more, or another value of it.
    fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.retain(|(other, _)| other != key);
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a file.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn store_url(&self) -> String {
        format!("sqlite://{}", self.path().join("data/switchboard.db").display())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = switchboard(&self.settings);
        command.args(arguments).current_dir(self.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The same from a shell that does something first, such as to lower a limit.
    fn command_after(&self, first: &str, arguments: &[&str]) -> Command {
        let command = self.command(arguments);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{first} && exec \"$0\" \"$@\"")]).arg(command.get_program());
        shell.args(arguments).current_dir(self.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        shell
    }

    /// Runs a command to its end.
    fn run(&self, arguments: &[&str]) -> anyhow::Result<Ended> {
        let child = self.command(arguments).spawn()?;
        let Output { status, stdout, stderr } = in_time(child, Child::wait_with_output)
            .with_context(|| format!("`switchboard {}` does not end", arguments.join(" ")))??;
        let (output, errors) = (String::from_utf8(stdout)?, String::from_utf8(stderr)?);
        Ok(Ended { code: status.code(), output, errors })
    }

    /// Runs a command that succeeds, and gives what it printed.
    fn succeed(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let Ended { code, output, errors } = self.run(arguments)?;
        ensure!(code == Some(0), "`switchboard {}`: {code:?}, {output}{errors}", arguments.join(" "));
        Ok(output)
    }

    /// Runs a command that fails with a sentence, and gives the sentence.
    fn fail(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let Ended { code, output, errors } = self.run(arguments)?;
        ensure!(code == Some(1), "`switchboard {}`: {code:?}, {output}{errors}", arguments.join(" "));
        let sentence = errors.lines().last().and_then(|line| line.strip_prefix("switchboard: "));
        ensure!(!errors.contains("panicked") && !errors.contains(SECRET), "{errors}");
        Ok(sentence.with_context(|| format!("no sentence: {errors}"))?.to_owned())
    }

    /// Imports users 1 to 3.
    fn import_users(&self) -> anyhow::Result<()> {
        let file = self.write("users.csv", "username,full_name\nann,Ann\nbob,Bob\ncarol,Carol\n")?;
        let printed = self.succeed(&["user", "import", &file.display().to_string()])?;
        ensure!(printed == "1\tann\n2\tbob\n3\tcarol\n", "{printed}");
        Ok(())
    }

    /// Starts a node and waits for its first line.
    fn serve(&self, arguments: &[&str]) -> anyhow::Result<Node> {
        Self::start(self.command(arguments))
    }

    /// The same, of a command.
    fn start(mut command: Command) -> anyhow::Result<Node> {
        let mut child = command.spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("it was asked for")?);
        let errors = child.stderr.take().context("it was asked for")?;
        let errors = thread::spawn(move || read_all(errors));
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address =
            line.strip_prefix("Switchboard is at http://").and_then(|rest| rest.trim().parse().ok());
        let address = address.with_context(|| format!("first line: `{line}`"))?;
        let output = thread::spawn(move || read_all(output));
        Ok(Node { child: Some(child), address, output: Some(output), errors: Some(errors) })
    }
}

/// A running `serve`. Killed when dropped.
struct Node {
    child: Option<Child>,
    address: SocketAddr,
    /// What it prints after its first line.
    output: Option<thread::JoinHandle<String>>,
    errors: Option<thread::JoinHandle<String>>,
}

impl Node {
    /// Sends a signal.
    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self.child.as_ref().context("it runs")?;
        Ok(signal::kill(Pid::from_raw(child.id().try_into()?), signal)?)
    }

    /// Sends a signal and waits for the end. Gives the status, the rest of the output and the log.
    fn end(mut self, signal: Signal) -> anyhow::Result<(ExitStatus, String, String)> {
        self.signal(signal)?;
        let child = self.child.take().context("it runs")?;
        let status = in_time(child, |mut child| child.wait()).context("the node does not end")??;
        let read = |thread: Option<thread::JoinHandle<String>>| thread.and_then(|thread| thread.join().ok());
        let output = read(self.output.take()).context("it was read")?;
        Ok((status, output, read(self.errors.take()).context("it was read")?))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn read_all(mut source: impl Read) -> String {
    let mut bytes = Vec::new();
    // What came before an error is what there is.
    let _ = source.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for a process in a thread of its own, and kills it if that takes too long.
fn in_time<T: Send + 'static>(child: Child, wait: fn(Child) -> T) -> anyhow::Result<T> {
    let pid = Pid::from_raw(child.id().try_into()?);
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(wait(child)));
    end.recv_timeout(DEADLINE)
        .inspect_err(|_elapsed| {
            // It may end just now.
            let _ = signal::kill(pid, Signal::SIGKILL);
        })
        .context("not in time")
}

/// Runs what needs a socket.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(work)
}

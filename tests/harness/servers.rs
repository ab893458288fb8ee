//! Redis and Postgres for tests: the machine's own programs, each on a port and in a folder of its own, that can be killed,
//! restarted and frozen.
//!
//! Several test binaries include this file with `#[path]`, so it needs nothing of the others. A binary that does not use all
//! of it says `#[expect(dead_code, reason = "…")]` at its `mod`. Everything here blocks until it is done, some seconds at
//! most; on a runtime of one thread that stops what is under test.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{self, Signal};
use nix::unistd::{Pid, Uid, User};
use tempfile::TempDir;

/// For a server to answer, or its processes to be gone. Generous, since a busy machine is slow and nobody waits in vain.
const DEADLINE: Duration = Duration::from_secs(30);

/// Below those that Linux gives to connections (`net.ipv4.ip_local_port_range`).
const FREE_PORTS: Range<u16> = 20_000..32_000;

/// Between two looks at whether it does.
const LOOK: Duration = Duration::from_millis(5);

/// What a server prints, in its folder.
const LOG: &str = "log";

/// The servers that are not installed here. A test that needs one of them is ignored, unless [`required`].
pub(crate) fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if find_redis().is_none() {
        missing.push("redis");
    }
    if find_postgres().is_none() {
        missing.push("postgres");
    }
    missing
}

/// Whether every test has to run: `SWITCHBOARD_TEST=all`, as in CI.
pub(crate) fn required() -> bool {
    env::var_os("SWITCHBOARD_TEST").is_some_and(|value| value == "all")
}

/// A Redis server without persistence: a restart leaves it empty.
pub(crate) struct Redis {
    process: Option<Process>,
    program: PathBuf,
    port: u16,
    folder: TempDir,
}

impl Redis {
    /// Starts a server and waits until it answers.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut redis = Self {
            process: None,
            program: find_redis().context("redis-server is not installed")?,
            port: free_port()?,
            folder: TempDir::new()?,
        };
        redis.restart()?;
        Ok(redis)
    }

    /// The URL to connect to; the same after a restart.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills the server with SIGKILL.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Starts the server again on the same port, having killed it if it ran, and waits until it answers.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        let mut command = Command::new(&self.program);
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path());
        let mut process = Process::spawn(command, self.folder.path())?;
        process.wait_until(|| ping(self.port).is_ok())?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops the server's process where it stands; its connections stay open.
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        running(self.process.as_ref())?.signal_all(Signal::SIGSTOP)
    }

    /// Lets a frozen server go on.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        running(self.process.as_ref())?.signal_all(Signal::SIGCONT)
    }

    /// Sends one command over a connection of its own and returns the first line of the answer.
    pub(crate) fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        command(self.port, words)
    }
}

/// A Postgres server with a fresh cluster, as durable as in production (`fsync` is on). A restart keeps its data.
pub(crate) struct Postgres {
    process: Option<Process>,
    programs: PathBuf,
    port: u16,
    folder: TempDir,
    /// On top of what every server here has.
    settings: Vec<String>,
}

impl Postgres {
    /// Makes a cluster, starts a server on it and waits until it answers.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_with(TempDir::new()?, Vec::new())
    }

    /// The same in a given folder, which the server's user must be able to reach, with settings such as
    /// `synchronous_commit=off`.
    pub(crate) fn start_with(folder: TempDir, settings: Vec<String>) -> anyhow::Result<Self> {
        let mut postgres = Self {
            process: None,
            programs: find_postgres().context("postgres is not installed")?,
            port: free_port()?,
            folder,
            settings,
        };
        if let Some(user) = unprivileged_user()? {
            chown(postgres.folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        let mut initdb = postgres.program("initdb")?;
        initdb.arg("-D").arg(postgres.data());
        postgres.run(initdb.args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]))?;
        postgres.restart()?;
        Ok(postgres)
    }

    /// The URL of the maintenance database; the same after a restart.
    pub(crate) fn url(&self) -> String {
        self.database_url("postgres")
    }

    /// The file that the server writes its log to; each start begins it anew.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join(LOG)
    }

    /// Makes an empty database and returns its URL.
    pub(crate) fn create_database(&self, name: &str) -> anyhow::Result<String> {
        let mut createdb = self.client("createdb")?;
        self.run(createdb.arg(name))?;
        Ok(self.database_url(name))
    }

    /// Kills all processes of the server with SIGKILL, and waits until they are gone.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.kill()?;
        self.clean_up()
    }

    /// Removes what a killed server leaves to the machine: its shared memory, of which a kernel has a few thousand pieces
    /// only (`kernel.shmmni`), and the file that names it, which is stale even if another process has been given its number.
    fn clean_up(&self) -> anyhow::Result<()> {
        let lock_file = self.data().join("postmaster.pid");
        let Ok(lock) = fs::read_to_string(&lock_file) else {
            return Ok(());
        };
        fs::remove_file(&lock_file)?;
        // "Postmaster lock file format", line 7: the key and the id of the segment, once there is one.
        let id = lock.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
        id.map_or(Ok(()), |id| self.run(Command::new("ipcrm").args(["--shmem-id", id])))
    }

    /// Starts the server again on the same port and data, having killed it if it ran, and waits until it answers.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        let mut postgres = self.program("postgres")?;
        postgres.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        postgres.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        postgres.args(["-c", "fsync=on", "-c", "max_connections=100"]);
        postgres.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
        let mut process = Process::spawn(postgres, self.folder.path())?;
        process
            .wait_until(|| self.client("pg_isready").is_ok_and(|mut client| self.run(&mut client).is_ok()))?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops all processes of the server where they stand; their connections stay open.
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        running(self.process.as_ref())?.signal_all(Signal::SIGSTOP)
    }

    /// Lets a frozen server go on.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        running(self.process.as_ref())?.signal_all(Signal::SIGCONT)
    }

    fn database_url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of Postgres's programs, as a user that Postgres agrees to run as.
    fn program(&self, name: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        if let Some(user) = unprivileged_user()? {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        Ok(command)
    }

    /// One of those that connect.
    fn client(&self, name: &str) -> anyhow::Result<Command> {
        let mut command = self.program(name)?;
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string()]);
        Ok(command)
    }

    fn run(&self, command: &mut Command) -> anyhow::Result<()> {
        let output = command.stdin(Stdio::null()).output()?;
        let program = command.get_program().display();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program}: {}: {errors}", output.status);
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.kill();
    }
}

/// A running server: its first process, which is our child, and that one's children. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// What it printed.
    log: PathBuf,
}

impl Process {
    /// Starts it in a process group of its own; what it prints goes into the file `log` of the folder.
    pub(crate) fn spawn(mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(LOG);
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // A group of its own, so that Ctrl-C reaches the test and not the server that the test is about to use.
        let child = command.process_group(0).spawn()?;
        Ok(Self { child, log })
    }

    fn wait_until(&mut self, is_ready: impl Fn() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + DEADLINE;
        while !is_ready() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("the server did not start: {}", fs::read_to_string(&self.log)?);
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Signals the first process, which then starts no more, and its children. Not the process group: each of Postgres's
    /// processes leads one of its own.
    pub(crate) fn signal_all(&self, signal: Signal) -> anyhow::Result<()> {
        let parent = self.pid();
        signal::kill(parent, signal)?;
        for child in children(parent)? {
            // It may have ended since.
            let _ = signal::kill(child, signal);
        }
        Ok(())
    }

    /// Kills the first process and its children with SIGKILL, and waits until they are gone.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        let children = children(self.pid())?;
        self.signal_all(Signal::SIGKILL)?;
        self.child.wait()?;
        let deadline = Instant::now() + DEADLINE;
        for child in children {
            while is_running(child) {
                ensure!(Instant::now() < deadline, "process {child} does not end");
                // One that was started behind our back ends by itself, unless it is frozen.
                let _ = signal::kill(child, Signal::SIGKILL);
                thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// The first process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.kill();
    }
}

fn running<T>(process: Option<T>) -> anyhow::Result<T> {
    process.context("the server was killed")
}

/// The processes that a process has started, and that have not been waited for.
pub(crate) fn children(parent: Pid) -> anyhow::Result<Vec<Pid>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let pid = Pid::from_raw(pid);
        if status(pid).is_some_and(|(_, its_parent)| its_parent == parent) {
            children.push(pid);
        }
    }
    Ok(children)
}

fn is_running(pid: Pid) -> bool {
    status(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// State and parent of a process, from the fields after its name: `42 (postgres) S 1 …`.
fn status(pid: Pid) -> Option<(char, Pid)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((state, Pid::from_raw(parent)))
}

/// A port that nobody listens on now, that this process has not given away yet, and that the kernel gives to nobody who
/// connects: whoever listened on it can come back to it after a while.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    // Other processes look for ports too, and what one has found it binds some time later: each begins elsewhere.
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(())));
    loop {
        let nth = NEXT.fetch_add(1, Ordering::Relaxed) % FREE_PORTS.len() as u64;
        let port = FREE_PORTS.start + u16::try_from(nth)?;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            bound => return Ok(bound?.local_addr()?.port()),
        }
    }
}

fn find_redis() -> Option<PathBuf> {
    on_path("redis-server")
}

/// The folder that holds Postgres's programs. What is on the path may be links to some of them only.
fn find_postgres() -> Option<PathBuf> {
    let is_complete = |folder: &PathBuf| {
        let programs = ["postgres", "initdb", "createdb", "pg_isready"];
        programs.iter().all(|program| folder.join(program).is_file())
    };
    let linked = on_path("postgres").and_then(|postgres| fs::canonicalize(postgres).ok());
    let linked = linked.and_then(|postgres| Some(postgres.parent()?.to_owned()));
    if let Some(folder) = linked.filter(is_complete) {
        return Some(folder);
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = versions.filter_map(|entry| {
        let path = entry.ok()?.path();
        Some((version(&path)?, path.join("bin")))
    });
    let newest = installed.filter(|(_, folder)| is_complete(folder)).max();
    newest.map(|(_, folder)| folder)
}

/// Where a program is, if it is on the path.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut candidates = env::split_paths(&path).map(|folder| folder.join(program));
    candidates.find(|candidate| candidate.is_file())
}

/// Whom to run Postgres as, which refuses to run as root. Nobody else if we are not root.
fn unprivileged_user() -> anyhow::Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    bail!("Postgres does not run as root, and there is neither a user postgres nor nobody")
}

fn ping(port: u16) -> anyhow::Result<()> {
    let answer = command(port, &["PING"])?;
    ensure!(answer == "+PONG", "{answer}");
    Ok(())
}

/// Sends Redis one command over a connection of its own and returns the first line of the answer.
pub(crate) fn command(port: u16, words: &[&str]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 512];
    while !answer.ends_with(b"\n") {
        let n_read = stream.read(&mut buffer)?;
        ensure!(n_read > 0, "Redis closed the connection");
        answer.extend_from_slice(&buffer[..n_read]);
    }
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

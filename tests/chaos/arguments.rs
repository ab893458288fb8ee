//! What is run by hand: `tests/faults --help`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};
use switchboard_checker::history::Begin;

use crate::load::Shape;
use crate::run::{Run, SETTLE};
use crate::sabotages::{self, Look, Sabotage};
use crate::schedule::{self, Act};
use crate::stack::Plan;
use crate::trials::is_caught;
use crate::{figures, tell};

/// Switchboard under faults.
#[derive(Debug, Parser)]
#[command(name = "tests/faults")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Strikes the stack at random while clients write, and judges what they saw.
    Run(Long),
    /// Measures how long each recovery takes.
    Bounds {
        /// How often each is tried.
        #[arg(long, default_value_t = 20)]
        tries: usize,
    },
    /// Measures what clients that read nothing do to the others.
    Bystanders {
        /// How many clients, of which a third read nothing.
        #[arg(long, default_value_t = 1_000)]
        clients: usize,
    },
    /// Measures the memory of a node under each hostile peer.
    Hostile,
    /// Measures what the sweep costs Postgres while Redis is down.
    Sweep {
        /// Connected mailboxes, over two nodes.
        #[arg(long, default_value_t = 10_000)]
        mailboxes: usize,
        /// How long is measured.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
}

/// A run of faults at random.
#[derive(Debug, Args)]
struct Long {
    /// How long clients write.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// What the faults and the traffic are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Messages a second, by all users together.
    #[arg(long, default_value_t = 400.0)]
    rate: f64,
    /// Users, with two devices each.
    #[arg(long, default_value_t = 40)]
    users: i64,
    /// The faults of an earlier run, as it wrote them to `schedule.json`, instead of those of the seed.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Where `history.jsonl` and `schedule.json` go.
    #[arg(long, value_name = "FOLDER", default_value = "target/faults")]
    folder: PathBuf,
    /// Goes wrong on purpose, in a build for that: the name of a sabotage, or `all`.
    #[arg(long, value_name = "NAME")]
    sabotage: Option<String>,
}

impl Arguments {
    /// Does what they say. The exit status is the verdict.
    pub(crate) async fn carry_out(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(Long { sabotage: Some(name), .. }) => sabotage(&name).await,
            Command::Run(long) => long.run().await,
            Command::Bounds { tries } => figures::bounds(tries).await.map(|()| ExitCode::SUCCESS),
            Command::Bystanders { clients } => figures::bystanders(clients).await.map(|()| ExitCode::SUCCESS),
            Command::Hostile => figures::hostile().await.map(|()| ExitCode::SUCCESS),
            Command::Sweep { mailboxes, seconds } => {
                let lasts = Duration::from_secs(seconds);
                figures::sweep(mailboxes, lasts).await.map(|()| ExitCode::SUCCESS)
            }
        }
    }
}

impl Long {
    async fn run(self) -> anyhow::Result<ExitCode> {
        const NODES: usize = 3;
        let lasts = Duration::from_secs_f64(self.minutes * 60.0);
        let acts: Vec<Act> = match &self.replay {
            Some(file) => serde_json::from_str(&std::fs::read_to_string(file)?)
                .with_context(|| format!("{}: no schedule", file.display()))?,
            None => schedule::draw(self.seed, lasts, NODES),
        };
        std::fs::create_dir_all(&self.folder)?;
        let schedule = self.folder.join("schedule.json");
        std::fs::write(&schedule, serde_json::to_string_pretty(&acts)?)?;
        tell(format_args!(
            "seed {}, {} faults in {} minutes: {}",
            self.seed,
            acts.len(),
            self.minutes,
            schedule.display()
        ));
        let run = Run {
            plan: Plan { nodes: NODES, small_disks: true, ..Plan::default() },
            shape: Shape {
                users: self.users,
                rate: self.rate,
                seed: self.seed,
                lively: true,
                patience: Shape::PATIENT,
            },
            acts,
            lasts,
            settle: SETTLE,
            begin: Begin {
                seed: Some(self.seed),
                heal_within_ms: 10_000,
                // Two seconds, and what a busy machine adds.
                sweep_within_ms: 3_000,
                cut_within_ms: 3_000,
            },
            look: Look::AtWhatIsLeft,
            history: self.folder.join("history.jsonl"),
        };
        let verdict = run.judge().await?;
        tell(format_args!("{verdict}"));
        Ok(if verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// One sabotage ends red with what it broke, and green if it is one that breaks nothing. All of them end well if each did
/// as it should. One that was not noticed is an error.
async fn sabotage(name: &str) -> anyhow::Result<ExitCode> {
    let chosen: Vec<&Sabotage> =
        sabotages::ALL.iter().filter(|it| name == "all" || it.name == name).collect();
    ensure!(
        !chosen.is_empty(),
        "there is no sabotage `{name}`: {:?}",
        sabotages::ALL.iter().map(|it| it.name).collect::<Vec<_>>()
    );
    let mut missed = 0;
    for sabotage in &chosen {
        match is_caught(sabotage).await {
            Ok(verdict) if chosen.len() == 1 => {
                tell(format_args!("{verdict}"));
                return Ok(if verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Ok(verdict) => {
                let broken: Vec<_> = verdict.broken().map(|property| property.name()).collect();
                tell(format_args!("{}: {}", sabotage.name, broken.join(" ")));
            }
            Err(error) => {
                missed += 1;
                tell(format_args!("{}: NOT CAUGHT: {error:#}", sabotage.name));
            }
        }
    }
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

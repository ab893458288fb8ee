//! The channel layer from outside: the same cases on both back ends, and what Redis can do to us.
//!
//! Cases that need Redis are ignored where it is not installed, unless `SWITCHBOARD_TEST=all`.

#[path = "layer/both.rs"]
mod both;
#[path = "layer/faults.rs"]
mod faults;
#[path = "layer/kit.rs"]
mod kit;
#[path = "layer/lease_faults.rs"]
mod lease_faults;
#[path = "layer/leases.rs"]
mod leases;
#[path = "layer/operator.rs"]
mod operator;
#[path = "../../../tests/harness/servers.rs"]
#[expect(dead_code, reason = "the channel layer needs no Postgres")]
mod servers;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use kit::Fleet;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = both::trials("memory", Fleet::memory);
    trials.extend(leases::trials("memory", Fleet::memory));
    trials.extend(redis_trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn redis_trials() -> impl Iterator<Item = Trial> {
    let cannot_run = servers::missing().contains(&"redis") && !servers::required();
    let on_both = [both::trials("redis", Fleet::redis), leases::trials("redis", Fleet::redis)];
    let on_redis = [faults::trials(), leases::redis_trials(), lease_faults::trials(), operator::trials()];
    on_both.into_iter().chain(on_redis).flatten().map(move |trial| trial.with_ignored_flag(cannot_run))
}

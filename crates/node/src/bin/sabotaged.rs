//! The binary `switchboard-sabotaged`: the server with points at which it goes wrong on purpose, switched on by `FAILPOINTS`.
//! For tests alone. `sabotage.rs` of the library says which points there are.

use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;

use fail::FailScenario;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long what was published takes to get out of the process, at most.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    // Kept, since the points are off again when it goes.
    let _scenario = FailScenario::setup();
    let points: Vec<_> = fail::list().into_iter().map(|(name, action)| format!("{name}={action}")).collect();
    warn(&format!("WARNING: this binary is SABOTAGED, for tests alone: {}", points.join(";")));
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        report(panic);
        crash_at_a_point(panic);
    }));
    switchboard_node::program::main()
}

/// Ends the process where it stands, as a power failure would: nothing is unwound, nothing is told.
fn crash_at_a_point(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or_default();
    if message.contains("failpoint crash_after_publish") {
        // Of another thread: this one is stopped.
        thread::sleep(ON_ITS_WAY);
    }
    if message.contains("failpoint crash") {
        process::abort();
    }
}

/// Nobody may read it.
fn warn(line: &str) {
    let _unread = writeln!(io::stderr(), "{line}");
}

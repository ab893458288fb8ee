//! How many files and sockets the system lets this process have open.
//!
//! The soft limit is often 1024, for programs that cannot take more; whoever can may raise it to the hard one.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one.
///
/// # Errors
/// If the system does not let it: then all goes on, with fewer clients.
pub(super) fn raise() -> io::Result<()> {
    let hard = most()?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// The hard limit, which a node has once it serves.
///
/// # Errors
/// If the system does not say.
pub(super) fn most() -> io::Result<u64> {
    let (_soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(hard)
}

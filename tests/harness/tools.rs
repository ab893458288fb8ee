//! Programs of others that tests use besides Redis and Postgres, and the files of `deploy/` as they get them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::servers;

/// The top of the tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program on the path, or one that `tests/run` has put into the environment of Python's tools.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/sbin".into(), "/sbin".into(), root().join("tests/operations/.venv/bin")];
    let mut others = folders.into_iter().map(|folder: PathBuf| folder.join(program));
    servers::on_path(program).or_else(|| others.find(|path| path.is_file()))
}

/// The file of `deploy/`, with what is marked in it changed for this machine.
pub(crate) fn adapted(file: &str, changes: &[(&str, &str)], into: &Path) -> anyhow::Result<PathBuf> {
    let mut text = fs::read_to_string(root().join("deploy").join(file))?;
    for (from, to) in changes {
        ensure!(text.contains(from), "{file} has no `{from}`: mend this test");
        text = text.replace(from, to);
    }
    let path = into.join(file);
    fs::write(&path, text)?;
    Ok(path)
}

/// An address that nobody listens on now.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, servers::free_port()?).into())
}

/// HAProxy in front of these nodes, in the foreground, with the configuration of `deploy/`; its files go into the folder.
pub(crate) fn haproxy(nodes: &[SocketAddr], public: SocketAddr, folder: &Path) -> anyhow::Result<Command> {
    let servers: Vec<_> =
        nodes.iter().enumerate().map(|(n, node)| format!("server node{n} {node}")).collect();
    let template = "server-template node 20 node:8000 resolvers dns resolve-prefer ipv4 init-addr none";
    let socket = folder.join("socket");
    let changes = [
        (template, servers.join("\n    ")),
        ("bind :8080", format!("bind {public}")),
        ("bind :8404", format!("bind {}", free_address()?)),
        ("/tmp/haproxy.sock", socket.display().to_string()),
    ];
    let changes: Vec<_> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
    let file = adapted("haproxy.cfg", &changes, folder)?;
    let mut command = Command::new(find("haproxy").context("haproxy is not installed")?);
    command.args(["-db", "-f"]).arg(file);
    Ok(command)
}

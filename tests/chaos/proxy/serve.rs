//! What runs in the proxy's process: one thread takes orders, one carries bytes.

use std::io::{BufRead, Write, stdin, stdout};
use std::process::ExitCode;

use anyhow::Context;

use super::link::Link;
use super::orders::{Answer, Order, Request};

/// Carries out orders until the standard input ends.
pub(crate) fn serve() -> ExitCode {
    match obey() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever gave the orders may be gone.
            let _ = writeln!(std::io::stderr(), "proxy: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut links = Vec::new();
    for line in stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        let carried_out = runtime.block_on(carry_out(request.order, &mut links));
        let (error, n_connections) = match carried_out {
            Ok(n_connections) => (None, n_connections),
            Err(error) => (Some(format!("{error:#}")), None),
        };
        let answer = Answer { id: request.id, error, n_connections };
        let mut output = stdout().lock();
        writeln!(output, "{}", serde_json::to_string(&answer)?)?;
        output.flush()?;
    }
    Ok(())
}

/// What was asked for, if the order was a question.
async fn carry_out(order: Order, links: &mut Vec<Link>) -> anyhow::Result<Option<usize>> {
    match order {
        Order::Set { link, direction, toxic } => find(links, link)?.set(direction, toxic),
        Order::Reset { link } => find(links, link)?.reset().await,
        Order::Refuse { link } => find(links, link)?.refuse().await,
        Order::Clear { link } => find(links, link)?.clear()?,
        Order::Count { link } => return Ok(Some(find(links, link)?.count())),
        Order::Open { listen, to } => {
            links.push(Link::open(listen, to).with_context(|| format!("a link at {listen}"))?);
        }
    }
    Ok(None)
}

fn find(links: &mut [Link], link: usize) -> anyhow::Result<&mut Link> {
    links.get_mut(link).with_context(|| format!("there is no link {link}"))
}

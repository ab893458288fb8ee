//! `groups`: one member of each group sends as fast as acknowledgements come, and all members hear it.

use anyhow::{Context, bail, ensure};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use switchboard_client::Client;
use switchboard_protocol::client_frame::CreateGroup;
use switchboard_protocol::{ClientFrame, ConversationId, ServerFrame, UserId, limits};

use crate::fleet::Fleet;
use crate::pace::Load;
use crate::report::{self, Verdict};
use crate::traffic::{Bout, Window};

/// Groups that are made at a time.
const MAKING: usize = 16;

/// Which groups, and what is sent to them.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Members of a group, 2 to 100; several numbers with commas between them are measured one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 10, 100])]
    members: Vec<usize>,
    /// How many groups, if there are users for so many; else as many as there are. Nobody is in two of them, and the
    /// members of each are spread over the nodes.
    #[arg(long)]
    groups: Option<usize>,
    /// Users, from the head of the token file. All of them, if not given.
    #[arg(long)]
    users: Option<usize>,
    /// Messages of each sender that wait for their acknowledgement.
    #[arg(long, default_value_t = 8)]
    inflight: usize,
    #[command(flatten)]
    window: Window,
}

/// Measures each size, prints its report, and says whether everything was as it should be.
pub(crate) async fn run(fleet: &Fleet, shape: &Shape, pids: &[u32]) -> anyhow::Result<bool> {
    let mut is_good = true;
    for size in &shape.members {
        is_good &= run_size(fleet, shape, *size, pids).await?;
    }
    Ok(is_good)
}

async fn run_size(fleet: &Fleet, shape: &Shape, size: usize, pids: &[u32]) -> anyhow::Result<bool> {
    ensure!((2..=limits::GROUP_MEMBERS).contains(&size), "a group has 2 to 100 members, and not {size}");
    let n_users = fleet.n_users(shape.users)?;
    let n_groups = (n_users / size).min(shape.groups.unwrap_or(usize::MAX));
    ensure!(n_groups > 0, "there are {n_users} users, too few for a group of {size}");
    report::print(&format!("groups of {size}: {n_groups}\n"))?;

    let connections = fleet.connect_all(n_groups * size, |config| config.outbox = shape.inflight).await?;
    let clients: Vec<_> = connections.iter().map(|(client, _)| client.clone()).collect();
    let ids: Vec<_> = fleet.accounts[..clients.len()].iter().map(|account| account.id).collect();
    let groups = make_all(&clients, &ids, size).await?;

    let bout = Bout::new(&shape.window)?;
    let users = connections.into_iter().enumerate().map(|(index, connection)| {
        let inflight = if index.is_multiple_of(size) { shape.inflight } else { 0 };
        let pace = Load::Closed { inflight }.paces(1, bout.start, bout.tally.window.1, &bout.tally).remove(0);
        bout.user(connection, groups[index / size].into(), pace)
    });
    let users = users.collect();
    let (usage, records) = bout.run(users, size as u64 - 1, pids).await?;
    let verdict = Verdict::of_groups(&records, size);
    report::print(&report::traffic(&bout.tally, &usage, &verdict))?;
    Ok(verdict.is_good())
}

/// Makes groups of this size of neighbours.
pub(crate) async fn make_all(
    clients: &[Client],
    ids: &[UserId],
    size: usize,
) -> anyhow::Result<Vec<ConversationId>> {
    let groups = clients.chunks(size).zip(ids.chunks(size));
    let making = groups.map(|(clients, ids)| make(clients[0].clone(), ids.to_vec()));
    stream::iter(making).buffered(MAKING).try_collect().await
}

/// Makes a group of these, the first of whom owns it.
async fn make(owner: Client, members: Vec<UserId>) -> anyhow::Result<ConversationId> {
    let title = "load".to_owned();
    let member_ids = members[1..].to_vec();
    let group = CreateGroup { title, member_ids, client_conversation_id: None };
    let made = owner.request(ClientFrame::CreateGroup(group)).await.context("a group cannot be made")?;
    match made {
        ServerFrame::GroupChanged { conversation_id, .. } => Ok(conversation_id),
        other => bail!("no group was made: {other:?}"),
    }
}

//! `groups`: one member of each group sends as fast as acknowledgements come, and all members hear it.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use switchboard_client::Client;
use switchboard_protocol::client_frame::CreateGroup;
use switchboard_protocol::{ClientFrame, ConversationId, ServerFrame, UserId, limits};

use crate::crew::{Crew, Lead, Share};
use crate::device::Device;
use crate::fleet::Fleet;
use crate::json::Json;
use crate::pace::Pace;
use crate::report::{self, Verdict};
use crate::traffic::{self, Bout, Window};

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

impl Shape {
    /// How many groups of this size there are, if there are any.
    fn n_groups(&self, fleet: &Fleet, size: usize) -> anyhow::Result<usize> {
        ensure!((2..=limits::GROUP_MEMBERS).contains(&size), "a group has 2 to 100 members, and not {size}");
        let n_users = fleet.n_users(self.users)?;
        let n_groups = (n_users / size).min(self.groups.unwrap_or(usize::MAX));
        ensure!(n_groups > 0, "there are {n_users} users, too few for a group of {size}");
        Ok(n_groups)
    }
}

/// Measures each size, prints its report, and says whether everything was as it should be.
pub(crate) async fn lead(
    crew: &mut Crew,
    fleet: &Fleet,
    shape: &Shape,
    pids: &[u32],
    json: &Json,
) -> anyhow::Result<bool> {
    let mut are_good = true;
    for size in &shape.members {
        report::print(&format!("groups of {size}: {}\n", shape.n_groups(fleet, *size)?))?;
        let usage = traffic::measure(crew, &shape.window, *size as u64 - 1, pids).await?;
        let is_good = usage.totals.verdict.is_good();
        json.write("groups", is_good, &usage.spent, usage.json())?;
        report::print(&report::traffic(&usage))?;
        are_good &= is_good;
    }
    Ok(are_good)
}

/// Puts on a part of the load, size after size.
pub(crate) async fn part(
    fleet: &Arc<Fleet>,
    share: Share,
    shape: &Shape,
    lead: &mut Lead,
) -> anyhow::Result<()> {
    for size in &shape.members {
        let groups = share.part(shape.n_groups(fleet, *size)?);
        part_of_size(fleet, groups.start * size..groups.end * size, shape, *size, lead).await?;
    }
    Ok(())
}

async fn part_of_size(
    fleet: &Arc<Fleet>,
    users: Range<usize>,
    shape: &Shape,
    size: usize,
    lead: &mut Lead,
) -> anyhow::Result<()> {
    let owners = fleet.connect_all(users.clone().step_by(size), |_| {}).await?;
    let owners: Vec<_> = owners.into_iter().map(|(client, _)| client).collect();
    let ids: Vec<_> = fleet.accounts[users.clone()].iter().map(|account| account.id).collect();
    let groups = make_all(&owners, &ids, size).await?;
    drop(owners);
    let devices = Device::stand_all(fleet, users).await?;
    lead.ready().await?;

    let bout = Bout::new(&shape.window)?;
    let users = devices.into_iter().enumerate().map(|(index, device)| {
        let inflight = if index.is_multiple_of(size) { shape.inflight } else { 0 };
        let pace = Pace::Closed { inflight, start: bout.start, end: bout.tally.window.1 };
        bout.user(device, groups[index / size].into(), pace)
    });
    let (window, records) = bout.run(users.collect(), size as u64 - 1).await?;
    lead.report(&bout.totals(window, Verdict::of_groups(&records, size))?)
}

/// Makes a group of each chunk of so many users. Their owners are the first of each.
pub(crate) async fn make_all(
    owners: &[Client],
    ids: &[UserId],
    size: usize,
) -> anyhow::Result<Vec<ConversationId>> {
    let making = owners.iter().zip(ids.chunks(size)).map(|(owner, ids)| make(owner.clone(), ids.to_vec()));
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

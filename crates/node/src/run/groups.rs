//! `group`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use switchboard_protocol::limits::{GROUP_MEMBERS, GROUPS, TITLE_CHARS};
use switchboard_protocol::{Role, UserId};
use switchboard_store::{Refusal, Store};

use super::{migrated_store, print};
use crate::config::Config;

#[derive(Deserialize)]
struct Row {
    title: String,
    username: String,
    #[serde(default)]
    role: String,
}

/// The members of each group, by its title.
type Groups = BTreeMap<String, Vec<(String, Role)>>;

/// Makes the groups of a file, or adds members to those of an earlier import, and prints `id<TAB>title` for each. Nodes
/// that run meanwhile tell their clients within two seconds. Nothing is made of a file that names somebody who is not there.
pub(super) async fn import(config: &Config, file: &Path) -> anyhow::Result<()> {
    let of_file = || format!("`{}` cannot be imported", file.display());
    let groups = read(file).with_context(of_file)?;
    let store = migrated_store(config).await?;
    let mut found = Vec::with_capacity(groups.len());
    for (title, members) in &groups {
        found.push((title, look_up(&store, members).await.with_context(of_file)?));
    }
    for (title, members) in found {
        match store.import_group(title, &members).await? {
            Ok(id) => print(format_args!("{id}\t{title}"))?,
            Err(Refusal::GroupFull) => {
                bail!("the group `{title}` would have more than {GROUP_MEMBERS} members")
            }
            Err(Refusal::TooManyGroups) => {
                bail!("a member of the group `{title}` would be in more than {GROUPS} groups")
            }
            Err(_) => bail!("a member of the group `{title}` is disabled"),
        }
    }
    Ok(())
}

async fn look_up(store: &Store, members: &[(String, Role)]) -> anyhow::Result<Vec<(UserId, Role)>> {
    let names: Vec<_> = members.iter().map(|(name, _)| name.clone()).collect();
    let ids = store.find_usernames(&names).await?;
    members
        .iter()
        .map(|(name, role)| {
            let id = ids.get(name).with_context(|| format!("there is no user `{name}`"))?;
            Ok((*id, *role))
        })
        .collect()
}

/// Checks every line before the first user is looked up.
fn read(file: &Path) -> anyhow::Result<Groups> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file)?;
    let headers = reader.headers()?;
    if !["title", "username"].iter().all(|wanted| headers.iter().any(|column| column == *wanted)) {
        bail!("its first line must name the columns: title,username,role");
    }
    let mut groups = Groups::new();
    for (index, row) in reader.deserialize().enumerate() {
        let Row { title, username, role } = row?;
        let line = index + 2;
        let is_title =
            (1..=TITLE_CHARS).contains(&title.chars().count()) && !title.chars().any(char::is_control);
        ensure!(
            is_title,
            "line {line}: a title has 1 to {TITLE_CHARS} characters, none of them a control character"
        );
        let role = match role.as_str() {
            "owner" => Role::Owner,
            "" | "member" => Role::Member,
            _ => bail!("line {line}: a role is `owner` or `member`"),
        };
        let members = groups.entry(title).or_default();
        if members.iter().all(|(known, _)| *known != username) {
            members.push((username, role));
            ensure!(
                members.len() <= GROUP_MEMBERS,
                "line {line}: a group has at most {GROUP_MEMBERS} members"
            );
        }
    }
    Ok(groups)
}

//! Groups that an operator has from elsewhere: beside a node that runs, whose clients hear of them.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Folder, block_on};
use crate::harness::http::{EventStream, get};

impl Folder {
    fn group_file(&self, rows: &str) -> anyhow::Result<String> {
        Ok(self.write("groups.csv", format!("title,username,role\n{rows}"))?.display().to_string())
    }

    /// The header lines by which users 1 to 3 come in.
    fn tokens(&self) -> anyhow::Result<HashMap<i64, [String; 1]>> {
        let printed = self.succeed(&["token", "--users", "1..3"])?;
        let header = |line: &str| {
            let (id, header) = line.split_once('\t').context("no tab")?;
            anyhow::Ok((id.parse()?, [header.to_owned()]))
        };
        printed.lines().map(header).collect()
    }
}

/// The next change of a group that a stream tells of.
async fn change(stream: &mut EventStream) -> anyhow::Result<Value> {
    loop {
        let (_, frame) = stream.next().await?;
        if frame["type"] == "group_changed" {
            return Ok(frame);
        }
    }
}

pub(super) fn groups_are_imported_beside_a_node(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    let node = folder.serve(&["serve"])?;
    let tokens = folder.tokens()?;
    block_on(async {
        let import = |rows: &str| {
            let file = folder.group_file(rows)?;
            tokio::task::block_in_place(|| folder.succeed(&["group", "import", &file]))
        };
        let mut stream = EventStream::open(node.address, "/api/v1/events/stream", &tokens[&2]).await?;
        stream.next().await?;
        let rows = "Class 5b,ann,\n\"Choir, evening\",ann, owner\nClass 5b, bob ,owner\n";
        let printed = import(rows)?;
        let ids: Vec<_> = printed.lines().filter_map(|line| line.split_once('\t')).collect();
        ensure!(ids.len() == 2 && ids[1].1 == "Class 5b", "{printed}");
        let joined = change(&mut stream).await?;
        let members = json!([{"user_id": 1, "role": "member"}, {"user_id": 2, "role": "owner"}]);
        ensure!(joined["change"] == "joined" && joined["members"] == members, "{joined}");
        let id: i64 = ids[1].0.parse()?;
        ensure!(joined["conversation_id"] == id, "{joined}");
        // Again is no change; one more row is one more member, and whom a row calls so an owner.
        ensure!(import(rows)? == printed);
        import("Class 5b,ann,owner\nClass 5b,carol,\n")?;
        let role = change(&mut stream).await?;
        ensure!(role["change"] == "role" && role["user_id"] == 1 && role["role"] == "owner", "{role}");
        let added = change(&mut stream).await?;
        ensure!(added["change"] == "added" && added["user_ids"] == json!([3]), "{added}");
        let path = format!("/api/v1/conversations/{id}");
        let group = get(node.address, &path, &tokens[&3]).await?.json()?;
        let roles: Vec<_> =
            group["members"].as_array().context("members")?.iter().map(|it| &it["role"]).collect();
        ensure!(group["title"] == "Class 5b" && roles == ["owner", "owner", "member"], "{group}");
        Ok(())
    })?;
    ensure!(node.end(Signal::SIGTERM)?.0.success());
    let audit = folder.succeed(&["doctor", "--audit"])?;
    ensure!(!audit.contains("problem  "), "{audit}");
    Ok(())
}

pub(super) fn a_bad_file_makes_no_group(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    folder.succeed(&["user", "disable", "carol"])?;
    let many: String = (0..101).map(|n| format!("b,user{n},\n")).collect();
    for (rows, expect) in [
        ("b,nobody,\n", "no user `nobody`"),
        ("b,bob,admin\n", "line 3"),
        (",bob,\n", "line 3"),
        (&format!("{},bob,\n", "x".repeat(151)), "line 3"),
        (&many, "line 103"),
        ("b,bob\n", "groups.csv"),
    ] {
        let file = folder.group_file(&format!("a,ann,\n{rows}"))?;
        let sentence = folder.fail(&["group", "import", &file])?;
        ensure!(sentence.contains("groups.csv") && sentence.contains(expect), "{rows}: {sentence}");
    }
    let file = folder.write("groups.csv", "name,username\na,ann\n")?.display().to_string();
    ensure!(folder.fail(&["group", "import", &file])?.contains("title,username"));
    let file = folder.group_file("b,bob,\nb,carol,\n")?;
    ensure!(folder.fail(&["group", "import", &file])?.contains("`b` is disabled"));
    // The first that is made is the first that there is.
    let printed = folder.succeed(&["group", "import", &folder.group_file("a,ann,\n")?])?;
    ensure!(printed == "1\ta\n", "{printed}");
    Ok(())
}

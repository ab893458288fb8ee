//! When all is quiet: whoever is asked, in whichever way, says the same.

use anyhow::{Context, anyhow, ensure};

use super::fresh::Loader;
use super::model::Model;
use super::state::Device;
use super::view::View;
use super::world::{USERS, World};

pub(super) async fn all_agree(world: &mut World) -> anyhow::Result<()> {
    let mut views = Vec::new();
    for user in USERS {
        let mut loaded = Vec::new();
        for node in 0..2 {
            let loader = Loader { cluster: &world.cluster, user, node };
            loaded.push(loader.view().await.with_context(|| format!("{user} loads from node {node}"))?);
        }
        ensure!(loaded[0] == loaded[1], "the nodes differ for {user}: {loaded:?}");
        let view = loaded.remove(0);
        let until = Loader { cluster: &world.cluster, user, node: 0 }.me().await?.cursor.0;
        let mut anew =
            [Device::socket(&world.cluster, user.0, 1), Device::poll(user.0, usize::from(user.0 % 3 == 0))];
        let of_user = world.devices.iter_mut().filter(|device| device.state.user == user);
        for (nth, device) in of_user.chain(&mut anew).enumerate() {
            let name =
                || format!("{user} on {}", ["one device", "the other", "a new one", "a poll"][nth.min(3)]);
            device.catch_up(&world.cluster, until).await.with_context(name)?;
            device.state.view().check_same(&view).with_context(name)?;
        }
        for device in &anew {
            device.state.check_told()?;
        }
        absent_groups_are_absent(world, &view, &anew[0]).await?;
        let loader = Loader { cluster: &world.cluster, user, node: 1 };
        loader.search("changed", &view).await.with_context(|| format!("{user} searches"))?;
        views.push(view);
    }
    some_model_agrees(world, &views)?;
    versions_agree(world).await
}

/// What changed messages said before, and of whatever a user does not see nothing. Leaves the models that say the same.
async fn versions_agree(world: &mut World) -> anyhow::Result<()> {
    let messages = world.models.iter().take(1).flat_map(|model| &model.messages).rev();
    let changed = messages.filter(|(_, message)| !message.versions.is_empty()).map(|(id, _)| *id);
    for id in changed.take(12).collect::<Vec<_>>() {
        for user in USERS {
            let found = Loader { cluster: &world.cluster, user, node: 0 }.versions(id).await?;
            let mut expected = None;
            world.models.retain(|model| {
                let said = model.versions(user, id);
                let is_same = said == found;
                expected = Some(said);
                is_same
            });
            ensure!(!world.models.is_empty(), "versions of {id} for {user}: {found:?}, not {expected:?}");
        }
    }
    Ok(())
}

/// What a user left has nothing for them; what they see of it no more has kept its settings.
async fn absent_groups_are_absent(world: &World, view: &View, device: &Device) -> anyhow::Result<()> {
    let user = device.state.user;
    let loader = Loader { cluster: &world.cluster, user, node: 1 };
    let groups = world.models.iter().flat_map(|model| model.groups.keys());
    for id in groups.filter(|id| !view.groups.contains_key(id)) {
        loader.check_absent(*id).await.with_context(|| format!("{user} left {id}"))?;
        let is_of_it = view.messages.values().any(|message| message.conversation == *id);
        ensure!(!is_of_it && !view.settings.contains_key(id), "{user} has something of {id}");
    }
    for (id, settings) in device.state.settings() {
        let found = loader.settings(id).await?;
        ensure!(found == *settings, "{user}: {id} is {found:?}, not {settings:?}");
    }
    Ok(())
}

/// Leaves those that say what the users see.
fn some_model_agrees(world: &mut World, views: &[View]) -> anyhow::Result<()> {
    let check = |model: &Model| {
        for (user, view) in USERS.into_iter().zip(views) {
            let expected = model.view(user);
            view.without_times().check_same(&expected).with_context(|| format!("{user} should see else"))?;
        }
        anyhow::Ok(())
    };
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for model in std::mem::take(&mut world.models) {
        match check(&model) {
            Ok(()) => right.push(model),
            Err(error) => wrong.push(error),
        }
    }
    world.models = right;
    if world.models.is_empty() {
        let n_models = wrong.len();
        return Err(wrong
            .pop()
            .unwrap_or_else(|| anyhow!("no model"))
            .context(format!("of {n_models} models")));
    }
    Ok(())
}

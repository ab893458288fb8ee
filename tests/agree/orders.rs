//! Deeds that were done at once: in which orders could they have been done, one after the other, with these answers?

use anyhow::ensure;

use super::deeds::Deed;
use super::model::Model;
use super::ways::{Answer, Done};

/// The states that are left in any such order, none of them twice.
pub(super) fn explain(models: &[Model], done: &[(Deed, Answer)]) -> anyhow::Result<Vec<Model>> {
    let is_alone = done.len() == 1;
    // By the set of those that are done, as bits.
    let mut after: Vec<Vec<Model>> = vec![Vec::new(); 1 << done.len()];
    after[0] = models.to_vec();
    for set in 0..after.len() {
        for (nth, (deed, answer)) in done.iter().enumerate() {
            let next = set | 1 << nth;
            if next == set {
                continue;
            }
            for mut model in after[set].clone() {
                if model.explains(deed.user, &deed.frame, answer, is_alone) && !after[next].contains(&model) {
                    after[next].push(model);
                }
            }
        }
    }
    let left = after.pop().unwrap_or_default();
    ensure!(!left.is_empty(), "no order of these has these answers: {done:#?}{}", hints(models, done));
    Ok(left)
}

/// What each would have been answered, had it been done first.
fn hints(models: &[Model], done: &[(Deed, Answer)]) -> String {
    let alone = |(deed, _): &(Deed, Answer)| {
        let mut model = models.first().cloned().unwrap_or_default();
        format!("\n{:?} had it been first", model.judge(deed.user, &deed.frame, &Done::default()))
    };
    done.iter().map(alone).collect()
}

//! A metric with one label, whose words are known beforehand.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Metric, Registry};

/// One metric a word. Each is there from the start, so that a rate over the first event is right, and finding one
/// takes no lock.
pub struct Labelled<M> {
    /// At least one.
    words: Box<[(&'static str, M)]>,
}

type Label = [(&'static str, &'static str); 1];

impl<M: Default + Clone + Metric + prometheus_client::metrics::TypedMetric> Labelled<M>
where
    Family<Label, M, fn() -> M>: Metric,
{
    pub(super) fn new(
        registry: &mut Registry,
        name: &str,
        help: &str,
        label: &'static str,
        words: &[&'static str],
    ) -> Self {
        Self::with(registry, name, help, label, words, M::default)
    }
}

impl<M: Clone + Metric + prometheus_client::metrics::TypedMetric> Labelled<M>
where
    Family<Label, M, fn() -> M>: Metric,
{
    pub(super) fn with(
        registry: &mut Registry,
        name: &str,
        help: &str,
        label: &'static str,
        words: &[&'static str],
        make: fn() -> M,
    ) -> Self {
        let family: Family<Label, M, fn() -> M> = Family::new_with_constructor(make);
        let words = words.iter().map(|word| (*word, family.get_or_create_owned(&[(label, *word)])));
        let words = words.collect();
        registry.register(name, help, family);
        Self { words }
    }
}

impl<M> Labelled<M> {
    /// The metric of a word; that of the last one if it is not known.
    #[must_use]
    pub fn of(&self, word: &str) -> &M {
        let found = self.words.iter().position(|(known, _)| *known == word);
        debug_assert!(
            found.is_some() || self.words.last().is_some_and(|(last, _)| *last == "other"),
            "no word `{word}`"
        );
        &self.words[found.unwrap_or(self.words.len() - 1)].1
    }
}

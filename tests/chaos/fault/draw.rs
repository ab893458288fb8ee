//! Faults by chance.

use super::{Fault, Hostile, Kind, balancer, layer, link, node, store};
use crate::Dice;
use crate::proxy::{Direction, Toxic};
use crate::stack::Link;

impl Fault {
    /// Draws a fault of any kind, with any parameters.
    pub(crate) fn draw(dice: &mut Dice, n_nodes: usize) -> Self {
        let any = usize::try_from(dice.roll(n_nodes as u64)).unwrap_or(0);
        let (kind, at_most_ms) = match dice.roll(100) {
            ..26 => (Kind::Node { node: any, trouble: node(dice) }, LONG),
            26..28 => (Kind::AllNodesKilled { n_nodes }, SHORT),
            28..30 => return Self { kind: Kind::RollingRestart { n_nodes }, lasts_ms: 20_000 },
            30..46 => (Kind::Layer(layer(dice)), LONG),
            46..60 => (Kind::Store(store(dice)), SHORT),
            60..70 => (Kind::Link { link: Link::Redis(any), trouble: link(dice) }, LONG),
            70..80 => (Kind::Link { link: Link::Postgres(any), trouble: link(dice) }, LONG),
            80..88 => (Kind::Link { link: Link::Clients, trouble: link(dice) }, LONG),
            88..94 => (Kind::Balancer(balancer(dice)), SHORT),
            _ => (peers(dice, any), LONG),
        };
        Self { kind, lasts_ms: lasts(dice, at_most_ms) }
    }
}

/// In milliseconds: of what leaves nothing to work with, and of what does.
const SHORT: u64 = 6_000;
const LONG: u64 = 15_000;
/// Longer than most time-outs; once in a while.
const VERY_LONG: u64 = 30_000;

/// More often short than long.
fn lasts(dice: &mut Dice, at_most_ms: u64) -> u64 {
    match dice.roll(40) {
        0 if at_most_ms == LONG => VERY_LONG,
        ..12 => 500 + dice.roll(at_most_ms - 500),
        _ => 500 + dice.roll(3_500),
    }
}

fn node(dice: &mut Dice) -> node::Trouble {
    use node::Trouble::*;
    match dice.roll(12) {
        ..4 => Killed,
        4..7 => Frozen,
        7..9 => Stopped,
        9 => ClockOff { seconds: seconds(dice) },
        10 => ClockJumps { seconds: seconds(dice) },
        _ => DescriptorsExhausted,
    }
}

/// Up to a day, forwards or backwards.
fn seconds(dice: &mut Dice) -> i64 {
    const DAYS: [i64; 6] = [-86_400, 86_400, -3_600, 3_600, -90, 90];
    *dice.pick(&DAYS).unwrap_or(&DAYS[0])
}

fn layer(dice: &mut Dice) -> layer::Trouble {
    use layer::Trouble::*;
    match dice.roll(12) {
        ..3 => Killed,
        3 => Frozen,
        4 => Paused,
        5..7 => SubscribersCut { times: 1 + dice.roll(8), every_ms: 1 + dice.roll(700) },
        7 => BufferSmall { bytes: 1_024 << dice.roll(6) },
        8 => SubscribeDenied,
        9 => ChannelsDenied,
        10 => OutOfMemory,
        _ => Busy,
    }
}

fn store(dice: &mut Dice) -> store::Trouble {
    use store::Trouble::*;
    match dice.roll(10) {
        ..3 => Killed,
        3 => Frozen,
        4 => MessagesLocked,
        5..7 => BackendsTerminated { times: 1 + dice.roll(6), every_ms: 1 + dice.roll(900) },
        7 => ConnectionsExhausted,
        8 => DiskFull,
        _ => AttachmentsFull,
    }
}

fn link(dice: &mut Dice) -> link::Trouble {
    use link::Trouble::{Refused, Reset};
    let least = 1 + dice.roll(5_000);
    let toxic = match dice.roll(10) {
        0 => return Refused,
        1 => return Reset { times: 1 + dice.roll(6), every_ms: 1 + dice.roll(900) },
        2 => Toxic::Delay { ms: 1 << dice.roll(12) },
        3 => Toxic::Throttle { bytes_per_second: 512 << dice.roll(9) },
        4 => Toxic::Slice,
        5 => Toxic::Stall,
        6..8 => Toxic::BlackHole,
        _ => Toxic::CutAfter { least, most: least + dice.roll(100_000), seed: dice.roll(u64::MAX) },
    };
    let direction = match dice.roll(4) {
        0 => Direction::Up,
        1 => Direction::Down,
        _ => Direction::Both,
    };
    link::Trouble::Toxic { direction, toxic }
}

fn balancer(dice: &mut Dice) -> balancer::Trouble {
    match dice.roll(2) {
        0 => balancer::Trouble::Killed,
        _ => balancer::Trouble::Reloaded { times: 1 + dice.roll(4) },
    }
}

/// A few of one kind, or one of each.
fn peers(dice: &mut Dice, node: usize) -> Kind {
    let all = Hostile::all();
    match dice.pick(&all) {
        Some(kind) if dice.roll(3) > 0 => {
            Kind::Peers { node, kinds: vec![*kind], of_each: 1 + dice.roll(6) as usize }
        }
        _ => Kind::Peers { node, kinds: all.to_vec(), of_each: 1 },
    }
}

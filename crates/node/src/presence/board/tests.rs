//! What sessions are told, by what the layer says.

use super::*;

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);

struct World {
    board: Board,
    outbox: Arc<Outbox>,
    id: u64,
    now: Instant,
}

/// Somebody watches Ann and Bob, of whom nothing is known.
fn world() -> World {
    let (mut board, outbox) = (Board::default(), Arc::new(Outbox::default()));
    let id = board.join(Arc::clone(&outbox));
    assert!(board.replace(id, &[], &[ANN, BOB], &[ANN, BOB]));
    assert_eq!(board.unknown(), [1, 2]);
    World { board, outbox, id, now: Instant::now() }
}

impl World {
    /// The layer says who is held, after so many seconds.
    fn hear(&mut self, seconds: u64, held: &[(i64, u8)]) {
        self.now += Duration::from_secs(seconds);
        let changes = self.board.learn(&self.board.all(), &held.iter().copied().collect(), self.now);
        self.board.tell(&changes, &HashMap::from([(ANN, Timestamp(1_000_000)), (BOB, Timestamp(1_000_000))]));
    }

    /// What the session is told since it was last asked, by user: `1 online`.
    #[track_caller]
    fn check(&self, expect: &[&str]) {
        assert_eq!(told(&self.outbox), expect);
    }
}

fn told(outbox: &Outbox) -> Vec<String> {
    let frames = outbox.take(100);
    let frame = |text: &ByteString| {
        let frame: serde_json::Value = serde_json::from_str(text).unwrap();
        let last_seen = frame["last_seen"].as_str().map_or("", |seen| &seen[..4]);
        format!("{} {} {last_seen}", frame["user_id"], frame["status"].as_str().unwrap())
            .trim_end()
            .to_owned()
    };
    let mut told: Vec<_> = frames.iter().map(frame).collect();
    told.sort();
    told
}

#[tokio::test]
async fn the_present_state_is_told_and_then_what_changes() {
    let mut world = world();
    world.check(&[]);
    world.hear(0, &[(1, 2)]);
    world.check(&["1 online", "2 offline 1970"]);
    world.hear(2, &[(1, 2)]);
    world.check(&[]);
    world.hear(2, &[(1, 1), (2, 2)]);
    world.check(&["1 away 1970", "2 online"]);
    let other = Arc::new(Outbox::default());
    let id = world.board.join(Arc::clone(&other));
    assert!(!world.board.replace(id, &[], &[ANN], &[ANN]));
    assert_eq!(told(&other), ["1 away 1970"]);
    world.board.tell_all(world.id, &[ANN, BOB]);
    world.check(&["1 away 1970", "2 online"]);
}

#[tokio::test]
async fn who_left_is_gone_at_once_and_who_is_held_nowhere_after_a_while() {
    let mut world = world();
    world.hear(0, &[(1, 2), (2, 2)]);
    world.check(&["1 online", "2 online"]);
    world.hear(2, &[(1, 0)]);
    world.check(&["1 offline 1970"]);
    world.hear(6, &[(1, 0)]);
    world.check(&[]);
    // By the clock of the present: the store does not know when it was.
    world.hear(1, &[]);
    let this_year = &Timestamp::now().to_string()[..4];
    world.check(&[&format!("2 offline {this_year}")]);
}

#[tokio::test]
async fn a_layer_that_is_down_or_was_emptied_changes_nothing() {
    let mut world = world();
    world.hear(0, &[(1, 2), (2, 2)]);
    world.check(&["1 online", "2 online"]);
    world.hear(2, &[]);
    world.hear(2, &[]);
    world.hear(2, &[(1, 2), (2, 2)]);
    world.check(&[]);
    world.hear(2, &[]);
    world.board.unanswered();
    // Nobody can have said anything meanwhile.
    world.hear(60, &[]);
    world.check(&[]);
    world.hear(2, &[(1, 2), (2, 1)]);
    world.check(&["2 away 1970"]);
}

#[tokio::test(start_paused = true)]
async fn while_nothing_is_heard_nothing_is_told_and_then_what_was_missed() {
    let mut world = world();
    world.hear(0, &[(1, 2)]);
    world.check(&["1 online", "2 offline 1970"]);
    world.board.unanswered();
    tokio::time::advance(MEMORY - Duration::from_secs(1)).await;
    assert_eq!(world.board.known(&[ANN, UserId(9)]), HashMap::from([(ANN, Status::Online)]));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(world.board.known(&[ANN]).is_empty());
    world.board.tell_all(world.id, &[ANN, BOB]);
    world.check(&[]);
    world.hear(15, &[(1, 2), (2, 2)]);
    world.check(&["1 online", "2 online"]);
}

#[tokio::test]
async fn who_may_not_be_watched_any_more_is_offline_for_the_last_time() {
    let mut world = world();
    world.hear(0, &[(1, 2), (2, 2)]);
    // Both were asked for; Bob is no acquaintance any more.
    world.board.replace(world.id, &[ANN, BOB], &[ANN], &[ANN, BOB]);
    world.check(&["1 online", "2 offline"]);
    world.hear(2, &[(1, 1), (2, 1)]);
    world.check(&["1 away 1970"]);
    // The client asks for nobody.
    world.board.replace(world.id, &[ANN], &[], &[]);
    world.hear(2, &[(1, 2)]);
    world.check(&[]);
    assert_eq!((world.board.n_watched(), world.board.n_places), (0, 0));
}

#[tokio::test]
async fn a_session_that_leaves_leaves_nothing() {
    let mut world = world();
    assert!(world.board.has_room(0, MOST_PLACES - 2) && !world.board.has_room(0, MOST_PLACES - 1));
    world.board.leave(world.id, &[ANN, BOB]);
    assert_eq!((world.board.n_watched(), world.board.n_places), (0, 0));
    assert!(world.board.sessions.is_empty() && world.board.untold.is_empty());
}

#[tokio::test]
async fn there_must_be_room_when_the_places_are_taken() {
    let presence = Arc::new(crate::presence::Presence::default());
    presence.board().n_places = MOST_PLACES - 2;
    let (mut first, mut second) = (presence.join(), presence.join());
    // Both were let in.
    assert!(presence.has_room(0, 2));
    assert!(first.begin(vec![ANN, BOB], &[ANN, BOB]));
    assert!(!second.begin(vec![ANN], &[ANN]));
    assert_eq!((second.n_users(), presence.board().n_places), (0, MOST_PLACES));
    // Who has no room for others keeps those who are left.
    first.keep(vec![BOB, UserId(3), UserId(4)], &[ANN, BOB, UserId(3), UserId(4)]);
    assert_eq!((first.n_users(), presence.board().n_places), (1, MOST_PLACES - 1));
    assert!(second.begin(vec![ANN], &[ANN]));
}

#[tokio::test]
async fn who_begins_to_watch_is_told_nothing_of_whom_a_layer_may_have_forgotten() {
    let mut world = world();
    world.hear(0, &[(1, 2)]);
    world.check(&["1 online", "2 offline 1970"]);
    world.board.unanswered();
    let carol = UserId(3);
    world.board.replace(world.id, &[ANN, BOB], &[ANN, BOB, carol], &[]);
    world.hear(2, &[]);
    world.hear(6, &[(1, 2)]);
    world.check(&[]);
    assert_eq!(world.board.unknown(), [3]);
    world.hear(1, &[(1, 2)]);
    world.check(&["3 offline"]);
    // It answers as ever: nobody waits.
    world.board.replace(world.id, &[ANN, BOB, carol], &[ANN, BOB, carol, UserId(4)], &[]);
    world.hear(2, &[(1, 2)]);
    world.check(&["4 offline"]);
}

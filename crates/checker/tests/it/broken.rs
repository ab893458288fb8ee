//! One history a way to be wrong, each made of the clean one, and exactly what it breaks.
//!
//! The mailboxes of the clean history, as message and kind. User 1: 1 sent, 2 sent, 3 received, 4 sent, 4 received, receipt
//! of 1, 5 sent, 2 deleted, 6 sent, 7 sent. User 2: 1, 2 received, 3 sent, 1 read, 5 received, 2, 5 deleted, 6, 7 received.

use switchboard_checker::Property::{self, *};
use switchboard_checker::history::{Entry, Event, Kind, Line, Outcome, PageMessage, Phase, Scope};

use crate::edit::History;
use crate::world::{body, clean};

#[track_caller]
fn breaks<T>(expected: &[Property], edit: impl FnOnce(&mut History) -> T) {
    let mut history = History(clean());
    edit(&mut history);
    crate::assert_breaks(&history.0, expected);
}

fn acknowledged(message: i64, seq: i64) -> Outcome {
    Outcome::Sent { message, seq, repeat: false, again: false }
}

#[test]
fn s1_durable() {
    breaks(&[S1], |it| *it.outcome("key3") = acknowledged(3, 99));
    breaks(&[S1], |it| *it.outcome("key6") = acknowledged(66, 9));
    breaks(&[], |it| *it.outcome("key6") = acknowledged(6, 9));
    // What nobody knows of may be lost. It is not: its entries are there.
    breaks(&[S7, D4], |it| {
        it.0.retain(|line| !matches!(&line.event, Event::StoredMessage(it) if it.message == 6))
    });
    breaks(&[S1, S7, D4, U3], |it| {
        it.0.retain(|line| !matches!(&line.event, Event::StoredMessage(it) if it.message == 1));
    });
    breaks(&[S1, S2, D4], |it| it.stored(7).body = body("word6"));
}

#[test]
fn s2_no_phantom() {
    breaks(&[S2, D5], |it| *it.outcome("key6") = Outcome::Fail { code: "busy".to_owned() });
    breaks(&[S1, S2], |it| it.stored(7).client_message_id = "key77".to_owned());
}

#[test]
fn s3_idempotent() {
    breaks(&[S1, S3], |it| *it.outcome("key1") = acknowledged(1, 2));
    breaks(&[S1, S3], |it| {
        let at = it.last(|event| matches!(event, Event::Send(send) if send.client_message_id == "key1"));
        let Event::Send(send) = &mut it.0[at].event else { unreachable!() };
        send.body = body("other");
    });
    // The second one of another text is refused: that is right.
    breaks(&[], |it| {
        *it.outcome("key1") = Outcome::Fail { code: "conflict".to_owned() };
        let at = it.last(|event| matches!(event, Event::Send(send) if send.client_message_id == "key1"));
        let Event::Send(send) = &mut it.0[at].event else { unreachable!() };
        send.body = body("other");
    });
}

#[test]
fn s4_gapless_and_s6_clock_free() {
    breaks(&[S4], |it| *it.mailbox(1).0 += 1);
    breaks(&[S4, D1, D4, D7, D8], |it| it.row(2, 9).seq = 10);
    breaks(&[S4, S7, D4], |it| {
        it.0.retain(|line| !matches!(&line.event, Event::StoredEntry(row) if row.user == 2 && row.seq == 4));
    });
}

#[test]
fn s5_order() {
    // The second was acknowledged before the first was begun.
    breaks(&[S5], |it| {
        let [first, second] = ["key1", "key2"]
            .map(|key| it.first(|event| matches!(event, Event::Send(send) if send.client_message_id == key)));
        for (offset, number) in [(0, second), (1, second + 1)] {
            let line = it.0.remove(number);
            let t = it.0[first + offset].t;
            it.0.insert(first + offset, Line { t, ..line });
        }
    });
}

#[test]
fn s5_order_of_a_device() {
    let is_send =
        |event: &Event, key: &str| matches!(event, Event::Send(send) if send.client_message_id == key);
    // The device asked for the second before the first, and waited for neither.
    let turned = |it: &mut History| {
        let (first, second) =
            (it.first(|event| is_send(event, "key1")), it.first(|event| is_send(event, "key2")));
        let line = it.0.remove(second);
        let t = it.0[first].t;
        it.0.insert(first, Line { t, ..line });
    };
    breaks(&[S5], turned);
    // The connection may have been another one when they were stored.
    breaks(&[], |it| {
        turned(it);
        let at = it.first(|event| is_send(event, "key1"));
        it.insert(at + 1, Event::Disconnected { device: "a".to_owned(), reason: String::new() });
    });
    // The same was asked for by another way, which may have been the faster one.
    breaks(&[], |it| {
        turned(it);
        let at = it.first(|event| is_send(event, "key1"));
        let Event::Send(mut send) = it.0[at].event.clone() else { unreachable!() };
        (send.op, send.device) = (1_000, None);
        it.insert(at, Event::Send(send));
    });
}

#[test]
fn s7_atomic() {
    breaks(&[S7], |it| it.row(1, 10).hidden = true);
    breaks(&[S7], |it| it.stored(6).attachments.clear());
    breaks(&[S7], |it| it.set_kind(2, &["b", "c"], 6, Kind::Other));
    breaks(&[S7], |it| it.set_kind(2, &["b", "c"], 4, Kind::Other));
    breaks(&[S7], |it| it.row(1, 2).hidden = false);
}

#[test]
fn d1_complete_and_d7_heals() {
    breaks(&[D1], |it| it.entry("b", 4).kind = Kind::Other);
    breaks(&[D1], |it| it.entry("b", 9).kind = Kind::Void);
    breaks(&[D1, D7, D8], |it| it.0.remove(it.entry_at("c", 9)));
    breaks(&[D7], |it| {
        it.fault(it.entry_at("c", 9), Scope::Store, Phase::Begin);
        it.delay(it.entry_at("c", 9), 31_000);
        let at = it.entry_at("c", 9);
        it.0[at..].sort_by_key(|line| line.t);
        let (left, mut t) =
            (it.last(|event| matches!(event, Event::Left { device } if device == "c")), it.0[at].t);
        let line = it.0.remove(left);
        let at = it.entry_at("c", 9) + 1;
        it.0.insert(at, line);
        it.0[at..].iter_mut().for_each(|line| (t, line.t) = (t + 1, t + 1));
    });
}

#[test]
fn d2_once_and_d3_in_order() {
    breaks(&[D2], |it| it.0.insert(it.entry_at("c", 9), it.0[it.entry_at("c", 9)].clone()));
    let wire = |it: &mut History, more: (u64, u64)| {
        let at = it.first(|event| matches!(event, Event::Wire { .. }));
        let Event::Wire { duplicates, gaps, .. } = &mut it.0[at].event else { unreachable!() };
        (*duplicates, *gaps) = more;
    };
    breaks(&[D2], |it| wire(it, (1, 0)));
    breaks(&[D3], |it| wire(it, (0, 1)));
    breaks(&[D3], |it| {
        let (sixth, seventh) = (it.entry_at("c", 6), it.entry_at("c", 7));
        let event = it.0[sixth].event.clone();
        it.0[sixth].event = std::mem::replace(&mut it.0[seventh].event, event);
    });
    breaks(&[D3], |it| {
        it.late(Event::Reset { device: "c".to_owned(), cursor: 9, epoch: "epoch2".to_owned() })
    });
    for (cursor_is, epoch_is) in [(3, "epoch2"), (4, "epoch3")] {
        breaks(&[D3], |it| {
            let at = it.last(|event| matches!(event, Event::Connected { device, .. } if device == "b"));
            let Event::Connected { cursor, epoch, .. } = &mut it.0[at].event else { unreachable!() };
            (*cursor, *epoch) = (cursor_is, epoch_is.to_owned());
        });
    }
}

#[test]
fn d4_agreement() {
    breaks(&[D4], |it| it.entry("c", 9).body = Some(body("word6")));
    breaks(&[D4], |it| it.entry("c", 9).body = Some(body("")));
    breaks(&[D4], |it| it.entry("c", 9).conversation = Some(3));
    breaks(&[D4], |it| it.entry("a", 10).client_message_id = Some("key6".to_owned()));
    breaks(&[D4], |it| it.page(2, 2).messages[0].sender = 2);
}

#[test]
fn d5_own_writes_and_d6_monotonic() {
    breaks(&[D5], |it| it.page(2, 0).messages.remove(0));
    breaks(&[D5], |it| *it.count(2, 0) = 5);
    breaks(&[D6], |it| it.page(2, 1).messages.swap(0, 1));
    let again = |it: &mut History, asked_ago: u64| {
        let at = it.last(|event| matches!(event, Event::Page(page) if page.user == 2));
        let mut line = it.0[at].clone();
        let Event::Page(page) = &mut line.event else { unreachable!() };
        page.asked = line.t - asked_ago;
        page.messages.retain(|shown| shown.message != 6);
        it.0.insert(at + 1, line);
        (at, at + 1)
    };
    breaks(&[D6], |it| {
        let (_, second) = again(it, 0);
        let Event::Page(page) = &mut it.0[second].event else { unreachable!() };
        page.asked += 1;
    });
    // Asked for before the other one had come, so that it may be older; nobody knows of 6.
    breaks(&[], |it| again(it, 1));
    breaks(&[D6, U2], |it| {
        let shown = &mut it.page(2, 2).messages;
        shown.iter_mut().for_each(|shown| shown.is_read = false);
    });
}

#[test]
fn d8_no_silent_gap() {
    breaks(&[], |it| it.delay(it.entry_at("c", 9), 3_000));
    breaks(&[D8], |it| it.delay(it.entry_at("c", 9), 5_000));
    // It is on another device of the same user, so it is there, though nobody knows what became of its send.
    breaks(&[D8], |it| {
        let (eighth, gap) = (it.entry_at("c", 8), it.entry_at("b", 8));
        assert!(gap < eighth);
        it.delay(eighth, 5_000);
    });
    for (scope, expected) in [(Scope::Layer, &[D8][..]), (Scope::Node, &[])] {
        breaks(expected, |it| {
            it.fault(it.entry_at("b", 9), scope, Phase::Begin);
            it.delay(it.entry_at("c", 9), 5_000);
        });
    }
}

#[test]
fn d9_no_resurrection() {
    let second = PageMessage { message: 2, sender: 1, body: body("word2"), is_read: false };
    breaks(&[D9], |it| it.page(2, 2).messages.insert(4 - 1, second.clone()));
    let replay = |it: &mut History| {
        let fifth = it.entry("c", 5).clone();
        *it.entry("b", 5) = Entry { device: "b".to_owned(), ..fifth };
    };
    breaks(&[D9], replay);
    // The connection may have been asked for before the deletion.
    breaks(&[], |it| {
        replay(it);
        it.0.remove(it.last(|event| matches!(event, Event::Connecting { device } if device == "b")));
    });
}

#[test]
fn u1_exact() {
    breaks(&[U1], |it| *it.count(2, 2) += 1);
    breaks(&[U1], |it| *it.mailbox(2).1 += 1);
    breaks(&[U1], |it| it.late(Event::Unread { user: 2, count: -1, via: "welcome".to_owned(), asked: 0 }));
    // Not at rest, and not by a way that tells exactly at any time.
    breaks(&[], |it| it.late(Event::Unread { user: 2, count: 17, via: "welcome".to_owned(), asked: 0 }));
}

#[test]
fn u2_monotone_and_u3_receipts() {
    breaks(&[U2], |it| it.page(1, 0).messages.iter_mut().for_each(|shown| shown.is_read = false));
    breaks(&[U3], |it| it.set_kind(1, &["a"], 6, Kind::Other));
    breaks(&[D1, U3], |it| it.entry("a", 6).messages = vec![2]);
    breaks(&[U2, U3], |it| it.page(2, 2).messages.iter_mut().for_each(|shown| shown.is_read = true));
}

#[test]
fn c1_no_leak() {
    let told =
        |user, word: &str| Event::Told { user, place: "errors".to_owned(), canaries: vec![word.to_owned()] };
    breaks(&[C1], |it| it.late(told(2, "word4")));
    breaks(&[], |it| it.late(told(2, "word99")));
    breaks(&[C1], |it| it.late(Event::Exposed { place: "log".to_owned(), canary: "word1".to_owned() }));
    breaks(&[C1, D4], |it| it.entry("c", 9).body = Some(body("word4")));
}

#[test]
fn c2_cut_off() {
    let back = |it: &mut History, at: usize| {
        let (device, transport) = ("gone".to_owned(), "websocket".to_owned());
        it.insert(at, Event::Connected { device, user: 2, transport, cursor: 2, epoch: "epoch2".to_owned() });
    };
    breaks(&[C2], |it| back(it, it.first(|event| *event == Event::Healed)));
    breaks(&[], |it| back(it, it.first(|event| matches!(event, Event::CutOff { .. })) + 2));
    // It may have been on its way all the while.
    breaks(&[], |it| {
        back(it, it.first(|event| *event == Event::Healed));
        it.fault(it.first(|event| matches!(event, Event::CutOff { .. })), Scope::Clients, Phase::Begin);
    });
}

#[test]
fn r1_bounded_and_r5_no_leaks() {
    breaks(&[R1], |it| {
        let at = it.first(|event| matches!(event, Event::Memory { .. }));
        let Event::Memory { bytes, .. } = &mut it.0[at].event else { unreachable!() };
        *bytes += 1;
    });
    breaks(&[R5], |it| {
        let at = it.first(|event| matches!(event, Event::Rest { .. }));
        let Event::Rest { ended, .. } = &mut it.0[at].event else { unreachable!() };
        *ended += 1;
    });
}

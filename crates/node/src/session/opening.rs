//! How a session begins, and how it does not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use switchboard_protocol::server_frame::User;
use switchboard_protocol::{
    CloseCode, ErrorCode, ErrorFrame, Limits, Seq, ServerFrame, Timestamp, Welcome, limits,
};
use switchboard_store::{Account, Head};
use tokio::time::Instant;

use super::{HEARTBEAT, Heartbeat, Record, Requests, Session, UnreadNotices, Watching, Writers};
use crate::commands::Actor;
use crate::drain::Share;
use crate::feed::Feed;
use crate::http::caller::time_until;
use crate::limits::HandshakePlace;
use crate::metrics::OpenSession;
use crate::packet::text;
use crate::revocations::Lease;
use crate::state::Node;
use crate::transport::Transport;

/// Who is on the connection, and where they begin.
pub struct Opening {
    /// The user.
    pub account: Account,
    /// When their credentials end.
    pub expires_at: Timestamp,
    /// Says if they end before.
    pub lease: Lease,
    /// The last position that they have seen.
    pub cursor: Option<Seq>,
    /// Their address, if the log is to tell it.
    pub address: Option<IpAddr>,
}

/// Lets a client in, or turns it away. Its place among those that are being let in is free then.
pub async fn begin<T: Transport>(
    node: Arc<Node>,
    mut transport: T,
    opening: Opening,
    place: HandshakePlace,
) -> Option<Session<T>> {
    let open = node.metrics.session_opened("websocket");
    let (mailbox, cursor) = (opening.account.mailbox, opening.cursor);
    let mut record = Record::begin(opening.account.id, "websocket", opening.address);
    let opened = node.stop.run_until_cancelled(node.source.open(mailbox, cursor)).await;
    drop(place);
    let code = match opened {
        Some(Ok((feed, head))) => {
            let welcome = welcome(&node, &record, &opening.account, feed.begin(), head.unread);
            let mut session = Session::new(node, record, transport, opening, feed, &head, open);
            if let Err(code) = session.say(&welcome) {
                session.finish(code).await;
                return None;
            }
            return Some(session);
        }
        Some(Err(error)) => {
            tracing::warn!("a session cannot begin: {error}");
            CloseCode::TryLater
        }
        None => CloseCode::Restart,
    };
    turn_away(&mut transport, code).await;
    record.ends(code);
    node.metrics.sessions_closed.of(code.reason()).inc();
    None
}

/// Closes a connection before its session has begun.
async fn turn_away(transport: &mut impl Transport, code: CloseCode) {
    let why = match code {
        CloseCode::Restart => ServerFrame::<()>::Reconnect { after_ms: 0 },
        _ => ServerFrame::Error(ErrorFrame::new(ErrorCode::StoreUnavailable, "the store is out of reach")),
    };
    if let Ok(frame) = text(&why) {
        transport.push(frame);
        let _gone = transport.flush().await;
    }
    transport.close(code).await;
}

/// The first frame of a session, whatever carries it.
pub(crate) fn welcome(
    node: &Node,
    record: &Record,
    account: &Account,
    cursor: Seq,
    unread: i64,
) -> ServerFrame {
    ServerFrame::Welcome(Welcome {
        user: User {
            id: account.id,
            username: account.username.clone(),
            full_name: account.full_name.clone(),
        },
        connection_id: record.connection_id.clone(),
        epoch: account.epoch.clone(),
        cursor,
        unread_count: unread,
        server_time: Timestamp::now(),
        heartbeat_interval_ms: u64::try_from(HEARTBEAT.as_millis()).unwrap_or(u64::MAX),
        limits: Limits {
            frame_bytes: limits::FRAME_BYTES,
            content_bytes: limits::CONTENT_BYTES,
            subject_chars: limits::SUBJECT_CHARS,
            attachments: limits::ATTACHMENTS,
            attachment_bytes: node.settings.attachment_bytes,
            messages_per_second: node.messages_per_second,
        },
    })
}

impl<T: Transport> Session<T> {
    fn new(
        node: Arc<Node>,
        record: Record,
        transport: T,
        opening: Opening,
        feed: Feed,
        head: &Head,
        open: OpenSession,
    ) -> Self {
        let Opening { account, expires_at, lease, .. } = opening;
        let now = Instant::now();
        Self {
            record,
            transport,
            feed,
            lease,
            epoch: account.epoch.into_boxed_str(),
            requests: Requests::new(Arc::clone(&node), Actor { user: account.id, mailbox: account.mailbox }),
            notices: UnreadNotices::new(head),
            writers: Writers::default(),
            watching: Watching::new(Arc::clone(&node), account.id),
            node,
            heartbeat: Heartbeat { due: now + HEARTBEAT, last: now, unanswered: 0 },
            share: Share::draw(),
            leaves_at: None,
            // Tokio's clock ends somewhere beyond thirty years.
            expiry: now + time_until(expires_at).min(Duration::from_secs(86_400 * 365 * 30)),
            pause: None,
            unwritten: None,
            _open: open,
        }
    }
}

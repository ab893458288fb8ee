//! Each toxic does what it says, on connections to a server that returns what it gets.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use futures_util::future::LocalBoxFuture;
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout};

use super::{Direction, Proxy, Toxic};
use crate::harness::tools::free_address;
use crate::harness::{DEADLINE, eventually};

/// Long enough for what is on its way to come, if it comes.
const A_WHILE: Duration = Duration::from_millis(200);

type Attempt = fn(Bench) -> LocalBoxFuture<'static, anyhow::Result<()>>;

/// Of the proxy alone: no servers needed.
pub(crate) fn trials(runtime: &Arc<Runtime>) -> Vec<Trial> {
    let attempts: [(&str, Attempt); 9] = [
        ("passes_both_ways_and_halves_closed", |bench| Box::pin(passes(bench))),
        ("delays", |bench| Box::pin(delays(bench))),
        ("throttles", |bench| Box::pin(throttles(bench))),
        ("stalls_one_way_and_holds_little", |bench| Box::pin(stalls(bench))),
        ("black_hole", |bench| Box::pin(black_hole(bench))),
        ("slices", |bench| Box::pin(slices(bench))),
        ("cuts_after_bytes", |bench| Box::pin(cuts(bench))),
        ("resets_and_refuses", |bench| Box::pin(resets_and_refuses(bench))),
        ("server_gone", |bench| Box::pin(server_gone(bench))),
    ];
    let trial = |(name, attempt): (&str, Attempt)| {
        let runtime = Arc::clone(runtime);
        Trial::test(format!("proxy::{name}"), move || {
            let result = runtime.block_on(async { attempt(Bench::set_up().await?).await });
            result.map_err(|error| format!("{error:#}").into())
        })
    };
    attempts.into_iter().map(trial).collect()
}

/// A proxy whose link 0 leads to an echo.
struct Bench {
    proxy: Proxy,
    address: SocketAddr,
}

impl Bench {
    async fn set_up() -> anyhow::Result<Self> {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let bench = Self { proxy: Proxy::start()?, address: free_address()? };
        bench.proxy.open(bench.address, echo.local_addr()?).await?;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut reads, mut writes) = stream.split();
                    let _ = tokio::io::copy(&mut reads, &mut writes).await;
                    let _ = writes.shutdown().await;
                });
            }
        });
        Ok(bench)
    }

    /// A connection that has carried something.
    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        round_trip(&mut stream).await?;
        Ok(stream)
    }

    async fn set(&self, direction: Direction, toxic: Toxic) -> anyhow::Result<()> {
        self.proxy.set(0, direction, toxic).await
    }
}

/// How long some bytes take there and back.
async fn round_trip(stream: &mut TcpStream) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let mut answer = [0; 5];
    stream.write_all(b"hello").await?;
    timeout(DEADLINE, stream.read_exact(&mut answer)).await??;
    ensure!(&answer == b"hello", "other bytes");
    Ok(begin.elapsed())
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(A_WHILE, stream.read(&mut [0; 1])).await.is_err()
}

/// What comes until the connection is reset.
async fn read_until_reset(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut read = Vec::new();
    match timeout(DEADLINE, stream.read_to_end(&mut read)).await? {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(read),
        other => anyhow::bail!("{other:?} after {} bytes", read.len()),
    }
}

async fn passes(bench: Bench) -> anyhow::Result<()> {
    let mut stream = bench.connect().await?;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut reads, mut writes) = stream.split();
    let sending = async {
        writes.write_all(&sent).await?;
        writes.shutdown().await
    };
    let mut read = Vec::new();
    let (sending, reading) = tokio::join!(sending, timeout(DEADLINE, reads.read_to_end(&mut read)));
    sending?;
    reading??;
    ensure!(read == sent, "{} of {} bytes came back, or others", read.len(), sent.len());
    let gone = async || Ok((bench.proxy.count(0).await? == 0).then_some(()));
    eventually("the connection is forgotten", DEADLINE, gone).await
}

async fn delays(bench: Bench) -> anyhow::Result<()> {
    let mut stream = bench.connect().await?;
    bench.set(Direction::Both, Toxic::Delay { ms: 100 }).await?;
    let took = round_trip(&mut stream).await?;
    ensure!(took >= Duration::from_millis(200), "only {took:?}");
    // Delay is no throttle: a hundred at once are there as soon as one.
    bench.set(Direction::Down, Toxic::Pass).await?;
    let begin = Instant::now();
    for n in 0..100_u8 {
        stream.write_all(&[n]).await?;
        tokio::task::yield_now().await;
    }
    timeout(DEADLINE, stream.read_exact(&mut [0; 100])).await??;
    let took = begin.elapsed();
    ensure!(took >= Duration::from_millis(100) && took < Duration::from_secs(1), "{took:?}");
    Ok(())
}

async fn throttles(bench: Bench) -> anyhow::Result<()> {
    let mut stream = bench.connect().await?;
    bench.set(Direction::Down, Toxic::Throttle { bytes_per_second: 10_000 }).await?;
    let begin = Instant::now();
    stream.write_all(&[7; 5_000]).await?;
    timeout(DEADLINE, stream.read_exact(&mut [0; 5_000])).await??;
    let took = begin.elapsed();
    // Of fifty writes a second the first goes at once.
    ensure!(took >= Duration::from_millis(450), "only {took:?}");
    Ok(())
}

async fn stalls(bench: Bench) -> anyhow::Result<()> {
    let mut stream = bench.connect().await?;
    bench.set(Direction::Down, Toxic::Stall).await?;
    stream.write_all(b"wait").await?;
    ensure!(is_silent(&mut stream).await, "something came");
    let mut more = 0;
    while timeout(A_WHILE, stream.writable()).await.is_ok() {
        more += stream.try_write(&[7; 16 * 1024]).unwrap_or(0);
        ensure!(more < 32 << 20, "the stalled direction takes everything");
    }
    bench.proxy.clear(0).await?;
    let mut read = vec![0; 4 + more];
    timeout(DEADLINE, stream.read_exact(&mut read)).await??;
    ensure!(
        read.starts_with(b"wait") && read.iter().filter(|byte| **byte == 7).count() == more,
        "other bytes"
    );
    Ok(())
}

async fn black_hole(bench: Bench) -> anyhow::Result<()> {
    let (mut stream, mut idle) = (bench.connect().await?, bench.connect().await?);
    bench.set(Direction::Up, Toxic::BlackHole).await?;
    stream.write_all(&[7; 1 << 20]).await?;
    ensure!(is_silent(&mut stream).await, "something came out of the hole");
    ensure!(bench.proxy.count(0).await? == 2, "a connection is gone");
    bench.proxy.clear(0).await?;
    ensure!(read_until_reset(&mut stream).await?.is_empty(), "something came out of the hole");
    round_trip(&mut idle).await?;
    Ok(())
}

async fn slices(bench: Bench) -> anyhow::Result<()> {
    let mut stream = bench.connect().await?;
    bench.set(Direction::Down, Toxic::Slice).await?;
    let sent: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
    stream.write_all(&sent).await?;
    let (mut read, mut n_reads) = (Vec::new(), 0);
    while read.len() < sent.len() {
        ensure!(timeout(DEADLINE, stream.read_buf(&mut read)).await?? > 0, "the connection ended");
        n_reads += 1;
    }
    // In whole it would be one read, or a few; how many there are of slices depends on how fast they are read.
    ensure!(read == sent && n_reads > 10, "{n_reads} reads for {} bytes", read.len());
    Ok(())
}

async fn cuts(bench: Bench) -> anyhow::Result<()> {
    let mut stream = bench.connect().await?;
    bench.set(Direction::Down, Toxic::CutAfter { least: 10, most: 10, seed: 1 }).await?;
    stream.write_all(&[7; 10]).await?;
    ensure!(read_until_reset(&mut stream).await?.len() == 10, "not after ten bytes");
    // A new connection too, each at its own place.
    bench.set(Direction::Down, Toxic::CutAfter { least: 5, most: 500, seed: 1 }).await?;
    let mut lengths = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(bench.address).await?;
        stream.write_all(&[7; 1000]).await?;
        lengths.push(read_until_reset(&mut stream).await?.len());
    }
    ensure!(lengths.iter().all(|n| (5..=500).contains(n)), "{lengths:?}");
    lengths.dedup();
    ensure!(lengths.len() > 1, "all at the same place");
    Ok(())
}

async fn resets_and_refuses(bench: Bench) -> anyhow::Result<()> {
    let (mut stream, mut stays) = (bench.connect().await?, bench.connect().await?);
    bench.proxy.reset(0).await?;
    ensure!(bench.proxy.count(0).await? == 0, "connections are left");
    read_until_reset(&mut stream).await?;
    read_until_reset(&mut stays).await?;

    let mut stays = bench.connect().await?;
    bench.proxy.refuse(0).await?;
    let refused = TcpStream::connect(bench.address).await;
    ensure!(refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused), "not refused");
    round_trip(&mut stays).await?;
    bench.proxy.clear(0).await?;
    bench.connect().await?;
    Ok(())
}

/// A link whose server is not there resets who comes, and an order for a link that does not exist is an error.
async fn server_gone(bench: Bench) -> anyhow::Result<()> {
    let listen = free_address()?;
    bench.proxy.open(listen, free_address()?).await?;
    match TcpStream::connect(listen).await {
        Ok(mut stream) => drop(read_until_reset(&mut stream).await?),
        // The reset was sooner.
        Err(error) => ensure!(error.kind() == ErrorKind::ConnectionReset, "{error}"),
    }
    ensure!(bench.proxy.reset(7).await.is_err(), "there is no link 7");
    let gone = async || Ok((bench.proxy.count(1).await? == 0).then_some(()));
    eventually("the connection is forgotten", DEADLINE, gone).await
}

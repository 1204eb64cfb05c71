//! Senders who do not keep to HTTP, or keep to it in ways that nobody needs.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use xtask::{clerk_payload::UserPayload, redis_server::RedisServer};

use crate::helpers::{
    DEADLINE, Ingest, PATH, delivery, head, read_to_end, signed, statuses, svix_ids,
};

fn body() -> String {
    UserPayload::new("user_1", "a@example.com").updated()
}

/// P2: where the lengths of a request are in doubt, or its head is, the connection ends with it:
/// what is written behind it, signed or not, is no request.
#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_the_last_of_its_connection() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let length = body.len();
    let signed = signed("msg_doubt", &body)?;
    let with = |more: &str, rest: &str| head(&signed, more) + rest;
    let chunked = |rest: &str| with("transfer-encoding: chunked\r\n", rest);
    let (first, second) = body.split_at(100);
    let chunk = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let cases = [
        (
            "chunked in front of a length",
            with(
                &format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
                "0\r\n\r\n",
            ),
        ),
        (
            "a length in front of chunked",
            with(
                &format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
                "0\r\n\r\n",
            ),
        ),
        (
            "chunked, but not at last",
            with("transfer-encoding: chunked, identity\r\n", &chunk),
        ),
        (
            "no encoding",
            with("transfer-encoding: identity\r\n", &chunk),
        ),
        (
            "almost chunked",
            with("transfer-encoding: xchunked\r\n", &chunk),
        ),
        (
            "chunked in two lines",
            with(
                "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
                &chunk,
            ),
        ),
        (
            "a space in front of the colon",
            with("transfer-encoding : chunked\r\n", &chunk),
        ),
        (
            "a folded encoding",
            with("transfer-encoding:\r\n chunked\r\n", &chunk),
        ),
        (
            "chunked in HTTP/1.0",
            chunked(&chunk).replacen("HTTP/1.1", "HTTP/1.0", 1),
        ),
        (
            "two lengths",
            with(
                &format!("content-length: {length}\r\ncontent-length: 0\r\n"),
                &body,
            ),
        ),
        (
            "two lengths in one line",
            with(&format!("content-length: {length}, 0\r\n"), &body),
        ),
        (
            "a length with a sign",
            with(&format!("content-length: +{length}\r\n"), &body),
        ),
        ("a negative length", with("content-length: -1\r\n", &body)),
        (
            "a length in hexadecimal",
            with(&format!("content-length: 0x{length:x}\r\n"), &body),
        ),
        (
            "a length that has no end",
            with(&format!("content-length: {}\r\n", "9".repeat(40)), &body),
        ),
        ("a chunk of no length", chunked("\r\n")),
        ("a chunk of a negative length", chunked("-1\r\n")),
        ("a chunk with a sign", chunked(&format!("+{chunk}"))),
        ("a chunk with 0x", chunked(&format!("0x{chunk}"))),
        (
            "a chunk beyond 64 bits",
            chunked("10000000000000000\r\nx\r\n0\r\n\r\n"),
        ),
        (
            "a chunk of almost 64 bits",
            chunked("ffffffffffffffff\r\nx\r\n0\r\n\r\n"),
        ),
        (
            "a chunk that is longer than it says",
            chunked(&format!("5\r\n{body}\r\n0\r\n\r\n")),
        ),
        (
            "chunks without line breaks between",
            chunked(&format!(
                "64\r\n{first}{:x}\r\n{second}\r\n0\r\n\r\n",
                second.len()
            )),
        ),
        ("line feeds alone", chunked(&chunk.replace("\r\n", "\n"))),
        (
            "a line feed in a chunk's extension",
            chunked(&chunk.replacen("\r\n", ";a\nb\r\n", 1)),
        ),
        (
            "an endless chunk extension",
            chunked(&chunk.replacen("\r\n", &format!(";{}\r\n", "x".repeat(100_000)), 1)),
        ),
        (
            "endless trailers",
            chunked(&chunk.replacen(
                "0\r\n\r\n",
                &format!("0\r\n{}\r\n", "x: y\r\n".repeat(50_000)),
                1,
            )),
        ),
        ("NUL in a header", with("x: a\0b\r\n", "")),
        ("a carriage return in a header", with("x: a\rb\r\n", "")),
        ("a folded header", with("x: a\r\n b\r\n", "")),
        ("a header without a colon", with("nothing\r\n", "")),
        ("a header without a name", with(": nothing\r\n", "")),
        ("a name that is not ASCII", with("\u{e9}: x\r\n", "")),
        ("many headers", with(&"x: y\r\n".repeat(5000), "")),
        (
            "a header of 1 MB",
            with(&format!("x: {}\r\n", "y".repeat(1 << 20)), ""),
        ),
        (
            "a path of 1 MB",
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20)),
        ),
        ("a space too much", "GET  / HTTP/1.1\r\n\r\n".into()),
        ("NUL in the path", "GET /\0 HTTP/1.1\r\n\r\n".into()),
        ("no version", "GET /\r\n\r\n".into()),
        ("another version", "GET / HTTP/3.1\r\n\r\n".into()),
        (
            "HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0".into(),
        ),
        (
            "TLS",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}random\0\u{20}".into(),
        ),
        ("another protocol", "EHLO mail.example.com\r\n".into()),
    ];
    let mut senders = JoinSet::new();
    for (number, (what, request)) in cases.into_iter().enumerate() {
        let smuggled = delivery(&format!("msg_smuggled_{number}"), &body, "")?;
        let mut stream = ingest.connect().await?;
        senders.spawn(async move {
            // Who goes on writing may find the connection closed before all is written.
            let _ = stream.write_all((request + &smuggled).as_bytes()).await;
            anyhow::Ok((what, read_to_end(&mut stream).await?))
        });
    }
    while let Some(answered) = senders.join_next().await {
        let (what, answers) = answered??;
        let statuses = statuses(&answers);
        assert!(
            statuses.len() <= 1 && statuses.iter().all(|status| status.starts_with('4')),
            "{what}: {answers}"
        );
    }
    let answers = ingest
        .exchange(delivery("msg_after", &body, "connection: close\r\n")?.as_bytes())
        .await?;
    assert_eq!(statuses(&answers), ["200"]);
    assert_eq!(svix_ids(&redis).await?, ["msg_after"]);
    Ok(())
}

/// P2: a body that is not all of it, and heads that are too much.
#[tokio::test]
async fn a_delivery_that_is_cut_short_or_too_much_is_refused() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let close = "connection: close\r\n";
    let post = |more: &str| anyhow::Ok(head(&signed("msg_1", &body)?, more) + &body);
    let too_short = format!("content-length: {}\r\n{close}", body.len() - 1);
    let long = format!("x: {}\r\n", "x".repeat(65_536));
    for (what, request, status) in [
        ("no length at all", post(close)?, "400"),
        ("a length too short", post(&too_short)?, "400"),
        ("a long header", post(&long)?, "431"),
        ("many headers", post(&"x: y\r\n".repeat(253))?, "431"),
    ] {
        let answers = ingest.exchange(request.as_bytes()).await?;
        assert_eq!(statuses(&answers), [status], "{what}");
    }
    // A length too long: the sender ends first, or is gone.
    let too_long = format!("content-length: {}\r\n", body.len() + 1);
    let mut stream = ingest.connect().await?;
    stream.write_all(post(&too_long)?.as_bytes()).await?;
    stream.shutdown().await?;
    let answers = read_to_end(&mut stream).await?;
    assert!(matches!(statuses(&answers)[..], [] | ["400"]), "{answers}");
    let mut stream = ingest.begin("msg_1", &body).await?;
    stream.write_all(&body.as_bytes()[1..]).await?;
    drop(stream);
    assert_eq!(ingest.deliver("msg_2", &body).await?.status, 200);
    assert_eq!(svix_ids(&redis).await?, ["msg_2"]);
    Ok(())
}

/// HTTP/1.1: what is odd but right is a delivery like any other.
#[tokio::test]
async fn a_request_that_is_odd_but_right_is_accepted() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let close = "connection: close\r\n";
    let chunked = format!("{close}transfer-encoding: chunked\r\n");
    let chunk = format!("{:X}\r\n{body}\r\n0\r\n\r\n", body.len());
    let plain = |more: &str| delivery("msg_1", &body, &format!("{close}{more}"));
    let in_chunks =
        |more: &str, chunks: &str| anyhow::Ok(head(&signed("msg_1", &body)?, more) + chunks);
    let length = format!("content-length: {}\r\n", body.len());
    for (what, request) in [
        (
            "the whole URL",
            plain("")?.replacen(PATH, &format!("http://anywhere{PATH}"), 1),
        ),
        ("HTTP/1.0", plain("")?.replacen("HTTP/1.1", "HTTP/1.0", 1)),
        ("no host", plain("")?.replacen("host: ingest\r\n", "", 1)),
        (
            "names in capitals",
            plain("")?.replacen("svix-id", "SVIX-ID", 1),
        ),
        ("empty lines in front", format!("\r\n\r\n{}", plain("")?)),
        (
            "a query",
            plain("")?.replacen(PATH, &format!("{PATH}?x={PATH}"), 1),
        ),
        ("the same length twice", plain(&length)?),
        // Cookies and tokens of proxies that guard an application.
        ("62 more headers", plain(&"x: y\r\n".repeat(62))?),
        ("256 headers", plain(&"x: y\r\n".repeat(250))?),
        (
            "17 KiB of cookies",
            plain(&format!("cookie: {}\r\n", "x".repeat(17 << 10)))?,
        ),
        (
            "a head of almost 64 KiB",
            plain(&format!("x: {}\r\n", "x".repeat(65_000)))?,
        ),
        ("an empty header", plain("x:\r\n")?),
        ("a header that is not ASCII", plain("x: \u{e9}\r\n")?),
        ("another svix-id behind", plain("svix-id: msg_2\r\n")?),
        ("an unknown expectation", plain("expect: a-miracle\r\n")?),
        (
            "an upgrade that is declined",
            plain("upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n")?,
        ),
        (
            "a chunk's extension",
            in_chunks(&chunked, &chunk.replacen("\r\n", ";name=\"value\"\r\n", 1))?,
        ),
        (
            "trailers",
            in_chunks(
                &chunked,
                &chunk.replacen("0\r\n", "0\r\nsvix-id: msg_2\r\nx: y\r\n", 1),
            )?,
        ),
        (
            "zeros in front of a chunk's length",
            in_chunks(&chunked, &format!("000{chunk}"))?,
        ),
        (
            "CHUNKED",
            in_chunks(&chunked.replacen("chunked", "CHUNKED", 1), &chunk)?,
        ),
    ] {
        let answers = ingest.exchange(request.as_bytes()).await?;
        let last = statuses(&answers.replace("HTTP/1.0 ", "HTTP/1.1 "))
            .last()
            .map(|status| (*status).to_owned());
        assert_eq!(last.as_deref(), Some("200"), "{what}: {answers}");
        assert_eq!(svix_ids(&redis).await?, ["msg_1"], "{what}");
        redis.cli(&["FLUSHALL"])?;
    }
    Ok(())
}

/// P2: requests may be sent before the answers to earlier ones, and cut anywhere on the way. Each is
/// answered, in order, and the good ones alone are accepted.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order_wherever_they_are_cut() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let length = format!("content-length: {}\r\n", body.len());
    let (mut requests, mut expected, mut accepted) = (String::new(), Vec::new(), Vec::new());
    for number in 0..10 {
        let svix_id = format!("msg_{number}");
        let good = delivery(&svix_id, &body, "")?;
        let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        for (request, status) in [
            (good.clone(), "200"),
            (good.replacen("svix-id: msg", "svix-id: other", 1), "400"),
            // A good one inside the body of a bad one.
            (
                head(&[], &format!("content-length: {}\r\n", good.len())) + &good,
                "400",
            ),
            (good.replacen("POST", "PUT", 1), "405"),
            (good.replacen(PATH, "/", 1), "404"),
            (
                head(&signed(&svix_id, &body)?, "transfer-encoding: chunked\r\n") + &chunk,
                "200",
            ),
            (head(&[], &length) + &body, "400"),
            (
                format!("GET {PATH} HTTP/1.1\r\nhost: ingest\r\n\r\n"),
                "200",
            ),
        ] {
            requests += &request;
            expected.push(status);
        }
        accepted.extend([svix_id.clone(), svix_id]);
    }
    requests += &delivery("msg_last", &body, "connection: close\r\n")?;
    expected.push("200");
    accepted.push("msg_last".into());
    for piece in [usize::MAX, 997, 131] {
        redis.cli(&["FLUSHALL"])?;
        let (mut read, mut write) = ingest.connect().await?.into_split();
        let requests = requests.clone().into_bytes();
        let writer = tokio::spawn(async move {
            for part in requests.chunks(piece.min(requests.len())) {
                write.write_all(part).await?;
                tokio::task::yield_now().await;
            }
            std::io::Result::Ok(write)
        });
        let mut answers = String::new();
        tokio::time::timeout(DEADLINE, read.read_to_string(&mut answers)).await??;
        writer.await??;
        assert_eq!(statuses(&answers), expected, "in pieces of {piece}");
        assert_eq!(svix_ids(&redis).await?, accepted, "in pieces of {piece}");
    }
    Ok(())
}

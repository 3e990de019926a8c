//! The socket: requests in, the emulator's answers out, with the faults that were asked for.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use azure_core::http::{Method, RawResponse};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

use super::account::Account;
use super::fault::What;
use super::kind::Kind;
use super::log::Entry;
use super::{Failure, control, key};

/// Largest body of a request.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A body that can break off.
type Body = BoxBody<Bytes, io::Error>;

/// Answers whoever connects, for as long as the runtime lives.
pub(crate) async fn listen(listener: TcpListener, account: Arc<Account>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Small answers at once; without it they are only slower.
        drop(stream.set_nodelay(true));
        let account = Arc::clone(&account);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let account = Arc::clone(&account);
                async move { respond(&account, request).await }
            });
            // A connection that breaks is the other side's affair, or a fault that was asked for.
            drop(
                Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

/// An error closes the connection.
async fn respond(account: &Account, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Ok(plain(413, error.to_string())),
    };
    if let Some(verb) = parts.uri.path().strip_prefix("/__control/") {
        let answer = Box::pin(control::obey(account, &parts, verb, &body)).await;
        return Ok(answer.map_or_else(|error| plain(400, error.to_string()), |answer| plain(200, answer.to_string())));
    }
    let mut entry = Entry::of(&parts, &body);
    let answer = Box::pin(serve(account, &parts, body, &mut entry)).await;
    entry.status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
    account.log.push(entry);
    answer.map_err(|error| io::Error::other(error.to_string()))
}

/// An answer, or an error where the connection is to be closed.
async fn serve(account: &Account, parts: &Parts, body: Bytes, entry: &mut Entry) -> Result<Response<Body>, Failure> {
    if account.key.as_ref().is_some_and(|wanted| !key::is_signed(parts, wanted)) {
        return Ok(plain(
            401,
            r#"{"code":"Unauthorized","message":"the signature is not the key's"}"#,
        ));
    }
    if let Some(wait_ms) = account.throughput.wait_ms().filter(|_| entry.kind.is_page()) {
        return refusal(429, Some(3200), Some(wait_ms));
    }
    let fault = account.faults.take(entry);
    entry.fault = fault.as_ref().map(What::name);
    account.faults.pause(fault.as_ref()).await;
    match fault {
        Some(What::Reset) => Err("a reset was asked for".into()),
        Some(What::Status {
            status,
            substatus,
            retry_after_ms,
        }) => refusal(status, substatus, retry_after_ms),
        fault => {
            let answer = match forward(account, parts, body).await {
                Ok(answer) => answer,
                Err(error) => return Ok(plain(502, error.to_string())),
            };
            entry.charge = header(&answer, "x-ms-request-charge").unwrap_or_default();
            entry.documents = header(&answer, "x-ms-item-count");
            if entry.kind == Kind::Write {
                account.forget_counts();
            }
            if entry.kind.is_page() {
                let price = account.throughput.price(entry.documents.unwrap_or_default());
                entry.charge = price.unwrap_or(entry.charge);
                account.throughput.charge(entry.charge);
            }
            into_response(account, parts, answer, (entry.charge, matches!(fault, Some(What::Cut)))).await
        }
    }
}

fn header<T: std::str::FromStr>(answer: &RawResponse, name: &str) -> Option<T> {
    let (_, value) = answer.headers().iter().find(|(other, _)| other.as_str() == name)?;
    value.as_str().parse().ok()
}

async fn forward(account: &Account, parts: &Parts, body: Bytes) -> Result<RawResponse, Failure> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let method: Method = parts.method.as_str().parse()?;
    let headers = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), of_header(value.to_str().ok()?))));
    account.answer(method, path, headers, body.to_vec()).await
}

/// What a header begins with whose text is written in hexadecimal.
const IN_HEX: &str = "hex:";

/// The emulator's continuations have ids of documents in them, whatever their signs, and headers are
/// ASCII. (The service's are.)
fn into_header(value: &str) -> String {
    if value.is_ascii() {
        return value.to_owned();
    }
    format!("{IN_HEX}{}", hex::encode(value))
}

fn of_header(value: &str) -> String {
    let decoded = value.strip_prefix(IN_HEX).and_then(|text| hex::decode(text).ok());
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| value.to_owned())
}

async fn into_response(
    account: &Account,
    parts: &Parts,
    answer: RawResponse,
    (charge, cut): (f64, bool),
) -> Result<Response<Body>, Failure> {
    let mut response = Response::builder().status(u16::from(answer.status()));
    for (name, value) in answer
        .headers()
        .iter()
        .filter(|(name, _)| !["x-ms-resource-usage", "x-ms-request-charge"].contains(&name.as_str()))
    {
        response = response.header(name.as_str(), into_header(value.as_str()));
    }
    response = response.header("x-ms-request-charge", charge.to_string());
    if parts.headers.contains_key("x-ms-documentdb-populatequotainfo") {
        let count = account.count(parts.uri.path().trim_matches('/')).await?;
        // The service gives sizes in kilobytes; the emulator counts each document as one.
        let usage = format!("documentSize=0;documentsSize={count};documentsCount={count};collectionSize={count};");
        response = response.header("x-ms-resource-usage", usage);
    }
    let bytes = Bytes::copy_from_slice(answer.body().as_ref());
    if !cut {
        return Ok(response.body(full(bytes))?);
    }
    let half = bytes.slice(..bytes.len() / 2);
    let frames = [Ok(Frame::data(half)), Err(io::Error::other("a cut was asked for"))];
    Ok(response.body(StreamBody::new(futures::stream::iter(frames)).boxed())?)
}

fn refusal(status: u16, substatus: Option<u32>, retry_after_ms: Option<u64>) -> Result<Response<Body>, Failure> {
    let mut response = Response::builder().status(status);
    for (name, value) in [
        ("x-ms-substatus", substatus.map(u64::from)),
        ("x-ms-retry-after-ms", retry_after_ms),
    ] {
        if let Some(value) = value {
            response = response.header(name, value);
        }
    }
    Ok(response.body(full(r#"{"code":"Injected","message":"a fault was asked for"}"#))?)
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

fn plain(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response
}

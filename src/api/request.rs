//! A request as handlers see it: parameters of path and query, headers, the whole body.

use hyper::{
    HeaderMap, StatusCode,
    body::Incoming,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::de::DeserializeOwned;
use smol::{Timer, future};

use super::{
    gates::{BodyBytes, Gates},
    response::{ApiError, CONSENSUS_VERSION, JSON, SSZ},
};
use crate::types::ForkName;

/// A request.
pub(super) struct Request {
    params: Vec<String>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Vec<u8>,
    _bytes: Option<BodyBytes>,
}

/// The two ways in which a value can travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Ssz,
}

impl Media {
    /// Both.
    pub const ALL: [Media; 2] = [Media::Json, Media::Ssz];

    fn name(self) -> &'static str {
        match self {
            Media::Json => JSON,
            Media::Ssz => SSZ,
        }
    }
}

impl Request {
    /// A request without its body. `params` and `query` as they were sent, still with percent signs.
    pub(super) fn new(params: &[&str], query: Option<&str>, headers: HeaderMap) -> Result<Request, ApiError> {
        let params = params.iter().map(|text| decode(text, false)).collect::<Result<_, _>>()?;
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let query = pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name, true)?, decode(value, true)?))
            })
            .collect::<Result<_, ApiError>>()?;
        Ok(Request { params, query, headers, body: Vec::new(), _bytes: None })
    }

    /// Takes in the body, within the gates' limits of size and time.
    pub(super) async fn read_body(&mut self, incoming: Incoming, gates: &Gates) -> Result<(), ApiError> {
        let late = async {
            Timer::after(gates.limits.body_time).await;
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))
        };
        let (body, bytes) = future::or(collect(incoming, gates), late).await?;
        self.body = body;
        self._bytes = Some(bytes);
        Ok(())
    }

    /// The `n`th variable part of the path. The table of routes says how many there are.
    pub(super) fn param(&self, n: usize) -> &str {
        self.params.get(n).map_or("", String::as_str)
    }

    /// The `n`th variable part of the path, as a number; `what` it is, for the error.
    pub(super) fn param_number(&self, n: usize, what: &str) -> Result<u64, ApiError> {
        number(self.param(n)).ok_or_else(|| ApiError::bad_request(format!("invalid {what}: {:?}", self.param(n))))
    }

    /// The variable parts of the path, and the query.
    pub(super) fn into_parts(self) -> (Vec<String>, Vec<(String, String)>) {
        (self.params, self.query)
    }

    /// A parameter of the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query that may be given several times, or once with commas.
    pub(super) fn query_list(&self, name: &str) -> Vec<&str> {
        let values = self.query.iter().filter(|(key, _)| key == name);
        values.flat_map(|(_, value)| value.split(',')).filter(|value| !value.is_empty()).collect()
    }

    /// A parameter of the query that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.query(name).ok_or_else(|| ApiError::bad_request(format!("the parameter {name} is missing")))
    }

    /// A parameter of the query as a number.
    pub(super) fn query_number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let wrong = |text: &str| ApiError::bad_request(format!("invalid {name}: {text:?}"));
        self.query(name).map(|text| number(text).ok_or_else(|| wrong(text))).transpose()
    }

    /// A parameter of the query as a number that must be there.
    pub(super) fn required_number(&self, name: &str) -> Result<u64, ApiError> {
        self.required(name)?;
        self.query_number(name).map(|value| value.unwrap_or_default())
    }

    /// Which of `offered` the client likes best; the first one if it does not say.
    pub(super) fn accepted(&self, offered: &[Media]) -> Result<Media, ApiError> {
        let Some(accept) = self.headers.get(ACCEPT).and_then(|value| value.to_str().ok()) else {
            return Ok(offered[0]);
        };
        let mut best: Option<(f32, Media)> = None;
        for media in offered.iter().copied() {
            let quality = quality(accept, media.name());
            if quality > best.map_or(0.0, |(quality, _)| quality) {
                best = Some((quality, media));
            }
        }
        let names = || offered.iter().map(|media| media.name()).collect::<Vec<_>>().join(", ");
        let none = || ApiError::new(StatusCode::NOT_ACCEPTABLE, format!("this is available as {} only", names()));
        best.map(|(_, media)| media).ok_or_else(none)
    }

    /// How the body is encoded: one of `taken`. Without a `Content-Type` it counts as JSON.
    pub(super) fn body_media(&self, taken: &[Media]) -> Result<Media, ApiError> {
        let header = self.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?")).unwrap_or(JSON);
        let essence = header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let unsupported = || {
            ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("a body of type {essence:?} is not taken here"))
        };
        taken.iter().copied().find(|media| media.name() == essence).ok_or_else(unsupported)
    }

    /// The fork that the client says the body is of. Unknown names and forks are errors.
    pub(super) fn body_fork(&self) -> Result<Option<ForkName>, ApiError> {
        let Some(value) = self.headers.get(CONSENSUS_VERSION) else { return Ok(None) };
        let name = value.to_str().unwrap_or("?").to_ascii_lowercase();
        let unknown = || ApiError::bad_request(format!("this version of Hornero does not know the fork {name:?}"));
        ForkName::from_name(&name).map(Some).ok_or_else(unknown)
    }

    /// The body's bytes.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, which must be JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        self.body_media(&[Media::Json])?;
        serde_json::from_slice(&self.body).map_err(|error| ApiError::bad_request(format!("invalid body: {error}")))
    }
}

async fn collect(mut incoming: Incoming, gates: &Gates) -> Result<(Vec<u8>, BodyBytes), ApiError> {
    use http_body_util::BodyExt;
    let (mut body, mut bytes) = (Vec::new(), gates.body());
    while let Some(frame) = incoming.frame().await {
        let broken = |error| ApiError::bad_request(format!("the body broke off: {error}"));
        let Ok(piece) = frame.map_err(broken)?.into_data() else { continue };
        if body.len() + piece.len() > gates.limits.body_bytes {
            let max = gates.limits.body_bytes;
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have {max} bytes")));
        }
        if !bytes.take(piece.len()) {
            return Err(ApiError::unavailable("too many large requests at once; try again"));
        }
        body.extend_from_slice(&piece);
    }
    Ok((body, bytes))
}

/// Digits only: no sign, no space.
pub(super) fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// How much an `Accept` header likes a type, 0 to 1. The most specific of its ranges decides.
fn quality(accept: &str, media: &str) -> f32 {
    let group = media.split('/').next().unwrap_or_default();
    let mut found = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let rank = match name.as_str() {
            name if name == media => 3,
            "*/*" => 1,
            name if name.strip_suffix("/*") == Some(group) => 2,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.trim().parse().ok()).unwrap_or(1.0);
        if rank > found.0 {
            found = (rank, quality);
        }
    }
    found.1
}

/// Undoes percent-encoding; in a query, `+` is a space.
fn decode(text: &str, in_query: bool) -> Result<String, ApiError> {
    let wrong = || ApiError::bad_request(format!("{text:?} is not validly encoded"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(wrong)?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
                rest = &rest[2..];
            }
            b'+' if in_query => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str, headers: &[(hyper::header::HeaderName, &str)]) -> Request {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        Request::new(&["a%2Cb"], Some(query), headers).unwrap()
    }

    #[test]
    fn parameters_are_decoded_and_lists_come_both_ways() {
        let request = request("id=1,2&id=0x%61b&x=a+b&empty=&n=18446744073709551615&m=+1", &[]);
        assert_eq!(request.param(0), "a,b");
        assert_eq!(request.query_list("id"), ["1", "2", "0xab"]);
        assert_eq!(request.query("x"), Some("a b"));
        assert!(request.query_list("empty").is_empty());
        assert_eq!(request.query_number("n").unwrap(), Some(u64::MAX));
        assert_eq!(request.query_number("missing").unwrap(), None);
        assert!(request.query_number("m").is_err());
        for wrong in ["a=%", "a=%f", "a=%zz", "a=%ff"] {
            assert!(Request::new(&[], Some(wrong), HeaderMap::new()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_client_gets_what_it_likes_best() {
        let both = [Media::Json, Media::Ssz];
        for (accept, expected) in [
            ("application/octet-stream;q=1,application/json;q=0.9", Some(Media::Ssz)),
            ("application/octet-stream;q=0.5, application/json", Some(Media::Json)),
            ("application/octet-stream", Some(Media::Ssz)),
            ("*/*", Some(Media::Json)),
            ("application/*;q=0.1", Some(Media::Json)),
            ("*/*, application/json;q=0", Some(Media::Ssz)),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            let request = request("", &[(ACCEPT, accept)]);
            assert_eq!(request.accepted(&both).ok(), expected, "{accept}");
        }
        assert_eq!(request("", &[]).accepted(&both).unwrap(), Media::Json);
        let ssz_liked = request("", &[(ACCEPT, "application/octet-stream;q=1,application/json;q=0.9")]);
        assert_eq!(ssz_liked.accepted(&[Media::Json]).unwrap(), Media::Json);
    }

    #[test]
    fn the_bodys_type_and_fork_are_checked() {
        let typed = |value| request("", &[(CONTENT_TYPE, value)]);
        assert_eq!(typed("application/json; charset=utf-8").body_media(&[Media::Json]).unwrap(), Media::Json);
        assert_eq!(typed("text/plain").body_media(&[Media::Json]).unwrap_err().status, 415);
        assert_eq!(typed("application/octet-stream").body_media(&[Media::Json]).unwrap_err().status, 415);
        assert_eq!(request("", &[(CONSENSUS_VERSION, "fulu")]).body_fork().unwrap(), Some(ForkName::Fulu));
        assert_eq!(request("", &[(CONSENSUS_VERSION, "heze")]).body_fork().unwrap_err().status, 400);
    }
}

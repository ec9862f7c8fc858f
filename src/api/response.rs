//! Answers and errors.

use hyper::{
    Response as HttpResponse, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Serialize;
use serde_json::json;

use super::body::Body;
use crate::{db::DbError, types::ForkName};

/// `Content-Type` of JSON.
pub(super) const JSON: &str = "application/json";
/// `Content-Type` of SSZ.
pub(super) const SSZ: &str = "application/octet-stream";
/// Header that names the fork of an SSZ or JSON body.
pub(super) const CONSENSUS_VERSION: HeaderName = HeaderName::from_static("eth-consensus-version");

/// What the server sends.
pub(super) type Response = HttpResponse<Body>;
/// What a handler returns.
pub(super) type Answer = Result<Response, ApiError>;

/// An answer that says what was wrong.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {message}")]
pub(super) struct ApiError {
    pub status: StatusCode,
    pub message: String,
    /// Of a list that was sent: which items were refused and why.
    pub failures: Vec<Failure>,
}

/// An item of a list that was refused.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: u64,
    pub message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl ToString) -> ApiError {
        ApiError { status, message: message.to_string(), failures: Vec::new() }
    }

    /// 400: the request is wrong.
    pub(super) fn bad_request(message: impl ToString) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: there is no such thing.
    pub(super) fn not_found(message: impl ToString) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, message)
    }

    /// 503: not now.
    pub(super) fn unavailable(message: impl ToString) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 500: our fault. The log has it too: a client's message may be seen by nobody.
    pub(super) fn internal(message: impl ToString) -> ApiError {
        let message = message.to_string();
        tracing::warn!("a request to the API failed: {message}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The answer that tells the client.
    pub(super) fn into_response(self) -> Response {
        let mut body = json!({ "code": self.status.as_u16(), "message": self.message });
        if !self.failures.is_empty() {
            body["failures"] = json!(self.failures);
        }
        let mut response = whole(JSON, body.to_string());
        *response.status_mut() = self.status;
        response
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        ApiError::internal(error)
    }
}

/// 200 with a body of this type.
pub(super) fn with_body(content_type: &'static str, body: Body) -> Response {
    let mut response = HttpResponse::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// 200 with a whole body.
pub(super) fn whole(content_type: &'static str, bytes: impl Into<Vec<u8>>) -> Response {
    with_body(content_type, Body::Whole(bytes.into().into()))
}

/// 200 with JSON.
pub(super) fn json(value: &impl Serialize) -> Answer {
    let bytes = serde_json::to_vec(value).map_err(ApiError::internal)?;
    Ok(whole(JSON, bytes))
}

/// 200 with JSON of the shape `{"data": ...}`.
pub(super) fn data(value: impl Serialize) -> Answer {
    #[derive(Serialize)]
    struct Data<T> {
        data: T,
    }
    json(&Data { data: value })
}

/// A status without a body.
pub(super) fn status(status: StatusCode) -> Response {
    let mut response = HttpResponse::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Says which fork the body is of.
pub(super) fn of_fork(mut response: Response, fork: ForkName) -> Response {
    response.headers_mut().insert(CONSENSUS_VERSION, HeaderValue::from_static(fork.as_str()));
    response
}

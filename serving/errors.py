"""The errors that a whole request can end in, each with its status; errors of single traces are `RowError`s.

The tree::

    ServiceError
    ├── MalformedBodyError        400  the body is not JSON, not UTF-8, or cannot be decompressed
    ├── ApiKeyError           401  no API key, or an unknown one
    ├── BodyTooLargeError         413  the body is larger than the limit
    ├── UnsupportedBodyError      415  an unknown content type or encoding
    ├── InvalidRequestError       422  JSON of another shape, or too many items
    ├── OverloadedError           429  too many requests in flight
    ├── ClientGoneError           499  the client has closed the connection; no one reads this
    ├── EncoderFailedError        500  the encoder could not run the request's windows
    ├── UnavailableError          503  the service cannot take the request now
    │   ├── DrainingError              it is shutting down
    │   ├── EncoderDownError           the encoder does not answer
    │   └── QueueTimeoutError          it had no time for the request
    └── RequestTimeoutError       504  the request took too long
"""

from typing import Any, ClassVar


class ServiceError(Exception):
    """A request that ends in an error.

    Parameters
    ----------
    message
        What was given, what was expected, what to do.
    detail
        More for machines, as JSON can hold it.
    """

    status: ClassVar[int] = 500
    error_type: ClassVar[str] = "internal"
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, message: str, detail: Any = None) -> None:
        super().__init__(message)
        self.detail = detail

    def body(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"error": str(self), "error_type": self.error_type, "detail": self.detail}


class MalformedBodyError(ServiceError):
    """The body is not JSON, not UTF-8, or cannot be decompressed."""

    status = 400
    error_type = "malformed_body"


class ApiKeyError(ServiceError):
    """There is no API key, or an unknown one."""

    status = 401
    error_type = "api_key"
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class BodyTooLargeError(ServiceError):
    """The body is larger than the limit."""

    status = 413
    error_type = "body_too_large"


class UnsupportedBodyError(ServiceError):
    """The body has an unknown content type or encoding."""

    status = 415
    error_type = "unsupported_body"


class InvalidRequestError(ServiceError):
    """The body is JSON of another shape, or holds too many items."""

    status = 422
    error_type = "invalid_request"


class OverloadedError(ServiceError):
    """Too many requests are in flight."""

    status = 429
    error_type = "overloaded"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}


class ClientGoneError(ServiceError):
    """The client has closed the connection."""

    status = 499
    error_type = "client_gone"


class EncoderFailedError(ServiceError):
    """The encoder could not run the request's windows."""

    error_type = "encoder_failed"


class UnavailableError(ServiceError):
    """The service cannot take the request now."""

    status = 503
    error_type = "unavailable"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "5"}


class DrainingError(UnavailableError):
    """The service is shutting down."""

    headers: ClassVar[dict[str, str]] = {"Retry-After": "5", "Connection": "close"}
    error_type = "draining"


class EncoderDownError(UnavailableError):
    """The encoder does not answer."""

    error_type = "encoder_down"


class QueueTimeoutError(UnavailableError):
    """The encoder had no time for the request within the queue's time limit."""

    error_type = "queue_timeout"


class RequestTimeoutError(ServiceError):
    """The request took longer than its time limit."""

    status = 504
    error_type = "request_timeout"

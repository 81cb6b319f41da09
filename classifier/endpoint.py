"""What goes to a scoring service and what comes back: batches, answers, and what a bad answer means."""

import json
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from classifier import errors
from classifier.errors import DependencyError, EndpointError, RowError, TraceLengthError, TraceTypeError
from classifier.scorer import StepScore

try:
    import httpx
    import tenacity
except ModuleNotFoundError as error:
    raise DependencyError(
        f"the client needs the package {error.name}; install it: pip install 'branching-classifier[client]'"
    ) from error

Answer = TypeVar("Answer")

KEY_VARIABLE: Final = "BRANCHING_API_KEY"
"""The environment variable with the API key, where none is given."""

_FIRST_PATIENCE: Final = 5.0
"""Seconds for which a service that has never answered is tried again: its address may be wrong."""
_ROW_ERRORS: Final = {
    one.error_type: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, RowError) and "error_type" in vars(one)
}
_back_off = tenacity.wait_random_exponential(multiplier=0.25, max=10)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client speaks to its service.

    Parameters
    ----------
    steps
        Whether scores list their steps.
    batch_size, batch_characters
        Most traces, and about the most characters, in a request.
    connections
        Requests under way at a time.
    timeout
        Seconds that one request may take.
    retry_seconds
        For how long a request is tried again while the service is busy, starting or restarting; where it asks
        to wait longer, it is not.

    Raises
    ------
    OptionError
        If a number is not above 0.
    """

    steps: bool = False
    batch_size: int = 64
    batch_characters: int = 500_000
    connections: int = 4
    timeout: float = 330.0
    retry_seconds: float = 120.0

    def __post_init__(self) -> None:
        for name in ("batch_size", "batch_characters", "connections", "timeout"):
            if getattr(self, name) <= 0:
                raise errors.OptionError(f"{name} is {getattr(self, name)}; give a number above 0")


@dataclass(frozen=True, slots=True)
class ServedScore:
    """The score of one trace, as a service gave it.

    Parameters
    ----------
    branch_rate
        Mean probability over the steps: the estimate of the share of steps that branch.
    branch_count, step_count
        Steps that branch, and all steps.
    kinds
        Branching steps by kind.
    steps
        Every step with its probability and kind, if they were asked for; else none.
    """

    branch_rate: float
    branch_count: int
    step_count: int
    kinds: dict[str, int]
    steps: Sequence[StepScore] = ()


class TryAgainError(Exception):
    """The service is busy, starting or not there.

    Parameters
    ----------
    message
        What happened.
    wait
        Seconds that the service asks to wait.
    patience
        Seconds after which to give up, if sooner than the options say.
    """

    def __init__(self, message: str, wait: float = 0.0, patience: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait
        self.patience = patience


class TooMuchError(Exception):
    """The request holds more than the service takes at a time."""

    def result_of_one(self) -> RowError:
        """Return the error of the trace that is too much even on its own."""
        return TraceLengthError(str(self))


def checked_key(api_key: str | None) -> str:
    """Return the API key, that of the environment if none is given, without white space around it.

    Raises
    ------
    OptionError
        If it cannot be the value of a header; the message does not show it.
    """
    key = (os.environ.get(KEY_VARIABLE, "") if api_key is None else api_key).strip()
    if not (key.isascii() and key.isprintable()):
        where = KEY_VARIABLE if api_key is None else "api_key="
        raise errors.OptionError(
            f"the API key ({where}) has characters that no key has; expected one line of printable ASCII; "
            "give the key alone"
        )
    return key


def open_http(url: str, api_key: str | None, options: ClientOptions) -> httpx.Client:
    """Open an HTTP client."""
    return httpx.Client(**_http_options(url, api_key, options))


def open_async_http(url: str, api_key: str | None, options: ClientOptions) -> httpx.AsyncClient:
    """Open an HTTP client for an event loop."""
    return httpx.AsyncClient(**_http_options(url, api_key, options))


def retry(send: Callable[[], Answer], options: ClientOptions) -> Answer:
    """Send until it works, or patience ends.

    Raises
    ------
    EndpointError
        If it does not work in time.
    """
    try:
        return tenacity.Retrying(**_retry_options(options))(send)
    except TryAgainError as error:
        raise EndpointError(str(error)) from error


async def retry_async(send: Callable[[], Awaitable[Answer]], options: ClientOptions) -> Answer:
    """Send until it works, or patience ends; see `retry`."""
    try:
        return await tenacity.AsyncRetrying(**_retry_options(options))(send)
    except TryAgainError as error:
        raise EndpointError(str(error)) from error


def request_options(traces: Sequence[str] | None, options: ClientOptions) -> dict[str, Any]:
    """Return the body and headers of a request; neither for one without traces."""
    if traces is None:
        return {}
    body = {"traces": list(traces), "steps": options.steps, "as_is": True}
    # ASCII, which lone surrogates survive.
    return {"content": json.dumps(body).encode("ascii"), "headers": {"Content-Type": "application/json"}}


@contextmanager
def transport_errors(url: str, *, reached: bool) -> Iterator[None]:
    """Turn errors of the connection into those of this module.

    Parameters
    ----------
    url
        For the message.
    reached
        Whether the service has answered before.
    """
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise EndpointError(f"{url} is not the address of a service ({error}); expected http://…") from error
    except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
        raise EndpointError(
            f"{url} did not answer in time; raise timeout=, or send less at a time (batch_size=)"
        ) from error
    except httpx.LocalProtocolError:
        # Its message can hold the API key.
        raise EndpointError(
            f"a request to {url} cannot be sent, as HTTP does not allow it; check the address and the API key"
        ) from None
    except httpx.TransportError as error:
        raise TryAgainError(
            f"{url} cannot be reached ({error or type(error).__name__}); check that the service runs there",
            patience=None if reached else _FIRST_PATIENCE,
        ) from error


def checked_answer(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON of a good answer.

    Raises
    ------
    TryAgainError
        If the service is busy or starting.
    TooMuchError
        If the request holds more than the service takes.
    EndpointError
        If the service refuses the request, or is none of ours.
    """
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.status_code == 200 and isinstance(body, dict):
        return body
    known = body if isinstance(body, dict) and {"error", "error_type"} <= body.keys() else None
    message = f"{answer.url} answered {answer.status_code}: {known['error'] if known else 'no known answer'}"
    if answer.status_code in (429, 503):
        asked = answer.headers.get("retry-after", "")
        seconds = float(asked) if asked.isdecimal() else 0.0
        if seconds:
            message += f"; it asks to wait {seconds:g} seconds"
        raise TryAgainError(message, wait=seconds)
    too_many = known and isinstance(known.get("detail"), dict) and "max_items" in known["detail"]
    if answer.status_code == 413 or too_many:
        raise TooMuchError(known["error"] if known else message)
    if known is None:
        message += "; check that a scoring service (branching serve) runs there"
    raise EndpointError(message)


def scores_of(answer: dict[str, Any], count: int) -> list[ServedScore | RowError]:
    """Read the results of a request.

    Raises
    ------
    EndpointError
        If they are not what was asked for.
    """
    results = answer.get("results")
    if not isinstance(results, list) or len(results) != count:
        raise EndpointError(f"the service did not answer with {count} results; check its version")
    return [_score_of(result) for result in results]


def of_one_model(answer: dict[str, Any], first: dict[str, Any], url: str) -> dict[str, Any]:
    """Return an answer, if the model that it names is that of the answers before.

    Parameters
    ----------
    answer
        Of a service; one that names no model is taken as it is.
    first
        The SHA-256 and precision of the model that answered first; the first answer fills it.
    url
        For the message.

    Raises
    ------
    EndpointError
        If another model answers, so that the scores of one run would be those of two.
    """
    model = answer.get("model")
    for name in ("sha256", "precision"):
        if not isinstance(model, dict) or name not in model:
            continue
        # In one step, as several threads may get the first answers.
        known = first.setdefault(name, model[name])
        if model[name] != known:
            raise EndpointError(
                f"{url} runs another model than before ({name} {model[name]}, expected {known}), and scores "
                "of two models cannot be compared; start again, or let the service run the model of before"
            )
    return answer


def checked_texts(traces: Iterable[object]) -> tuple[list[ServedScore | RowError | None], list[str]]:
    """Return an error for each trace that is no text and None for the others, and the others."""
    results: list[ServedScore | RowError | None] = []
    texts: list[str] = []
    for trace in traces:
        if isinstance(trace, str):
            texts.append(trace)
            results.append(None)
        else:
            given = "null" if trace is None else type(trace).__name__
            results.append(TraceTypeError(f"the trace is {given}; expected a string"))
    return results, texts


def batches_of(texts: Sequence[str], options: ClientOptions) -> Iterator[list[str]]:
    """Yield texts in batches of limited size; a long one gets a batch of its own."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and (len(batch) >= options.batch_size or characters + len(text) > options.batch_characters):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch


def in_place(
    results: Sequence[ServedScore | RowError | None], answers: Iterable[list[ServedScore | RowError]]
) -> list[ServedScore | RowError]:
    """Put the answers of batches into the places of their texts."""
    answered = (one for answer in answers for one in answer)
    return [next(answered) if result is None else result for result in results]


def all_scores(results: Iterable[ServedScore | RowError]) -> list[ServedScore]:
    """Return the scores, if all are.

    Raises
    ------
    RowError
        The first one.
    """
    scores: list[ServedScore] = []
    for index, result in enumerate(results):
        if isinstance(result, RowError):
            result.add_note(f"This was trace {index} of the batch.")
            raise result
        scores.append(result)
    return scores


def _score_of(result: dict[str, Any]) -> ServedScore | RowError:
    if "error" in result:
        kind = _ROW_ERRORS.get(result["error_type"])
        return (
            RowError(f"{result['error_type']}: {result['error']}") if kind is None else kind(result["error"])
        )
    return ServedScore(
        branch_rate=result["branch_rate"],
        branch_count=result["branch_count"],
        step_count=result["step_count"],
        kinds=result["kinds"],
        steps=[StepScore(**step) for step in result.get("steps") or ()],
    )


def _http_options(url: str, api_key: str | None, options: ClientOptions) -> dict[str, Any]:
    key = checked_key(api_key)
    return {
        "base_url": url,
        "timeout": options.timeout,
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
        "limits": httpx.Limits(max_connections=options.connections),
    }


def _retry_options(options: ClientOptions) -> dict[str, Any]:
    def give_up(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        patience = error.patience if isinstance(error, TryAgainError) else None
        asked = error.wait if isinstance(error, TryAgainError) else 0.0
        longest = options.retry_seconds if patience is None else min(patience, options.retry_seconds)
        return (state.seconds_since_start or 0.0) + asked >= longest

    return {
        "retry": tenacity.retry_if_exception_type(TryAgainError),
        "wait": _wait,
        "stop": give_up,
        "reraise": True,
    }


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, TryAgainError) else 0.0
    return asked + _back_off(state)

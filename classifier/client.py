"""Scores traces through a running service (`branching serve`), with the interface of the scorer.

`ScoringClient` goes wherever a `BranchScorer` does: its scores are the same to the bit. `AsyncScoringClient`
is for code that has an event loop.
"""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from classifier.endpoint import (
    KEY_VARIABLE,
    ClientOptions,
    ServedScore,
    TooMuchError,
    all_scores,
    batches_of,
    checked_answer,
    checked_key,
    checked_texts,
    in_place,
    of_one_model,
    open_async_http,
    open_http,
    request_options,
    retry,
    retry_async,
    scores_of,
    transport_errors,
)
from classifier.errors import EndpointError, RowError

if TYPE_CHECKING:
    import httpx

    from classifier.columns import RowScorer

__all__ = ["KEY_VARIABLE", "AsyncScoringClient", "ClientOptions", "ScoringClient", "ServedScore"]


class ScoringClient:
    """Scores traces through a running service.

    It can be pickled, so that it works in `datasets.Dataset.map(..., num_proc=2)`.

    Parameters
    ----------
    url
        Where the service runs, such as `http://127.0.0.1:3000`.
    api_key
        The API key, if the service needs one; the environment variable `BRANCHING_API_KEY` by default.
    options
        `ClientOptions` by name, such as `steps=True`.

    Raises
    ------
    OptionError
        If an option or the key has a value that cannot be used.

    Examples
    --------
    >>> with ScoringClient("http://127.0.0.1:3000") as client:  # doctest: +SKIP
    ...     scores = client.score_batch(["Add both. Or subtract? No, add.", "So x = 4."])
    """

    def __init__(self, url: str, *, api_key: str | None = None, **options: Any) -> None:
        self.url = url.rstrip("/")
        self.options = ClientOptions(**options)
        checked_key(api_key)
        self._api_key = api_key
        self._reached = False
        self._model: dict[str, Any] = {}
        self._http: httpx.Client | None = None
        self._opening = Lock()

    def score(self, trace: str) -> ServedScore:
        """Score one trace.

        Parameters
        ----------
        trace
            The chain of thought.

        Raises
        ------
        RowError
            If the trace cannot be scored.
        EndpointError
            If the service cannot be reached, refuses the request, or runs another model than before.
        """
        return self.score_batch([trace])[0]

    def score_batch(self, traces: Iterable[str]) -> list[ServedScore]:
        """Score traces, several requests at a time.

        Parameters
        ----------
        traces
            The chains of thought.

        Returns
        -------
        list of ServedScore
            One a trace, in order.

        Raises
        ------
        RowError
            The first one that a trace gives; `score_batch_or_errors` returns them instead.
        EndpointError
            If the service cannot be reached, refuses a request, or runs another model than before.
        """
        return all_scores(self.score_batch_or_errors(traces))

    def score_batch_or_errors(self, traces: Iterable[object]) -> list[ServedScore | RowError]:
        """Score traces; one that cannot be scored gives its error and leaves the others alone.

        Parameters
        ----------
        traces
            The chains of thought, or whatever stands in their place.

        Returns
        -------
        list of ServedScore or RowError
            One a trace, in order.

        Raises
        ------
        EndpointError
            If the service cannot be reached, refuses a request, or runs another model than before.
        """
        results, texts = checked_texts(traces)
        batches = list(batches_of(texts, self.options))
        if len(batches) < 2:
            return in_place(results, map(self._score, batches))
        with ThreadPoolExecutor(self.options.connections, thread_name_prefix="client") as pool:
            try:
                return in_place(results, pool.map(self._score, batches))
            except EndpointError:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def columns(
        self, column: str | None = None, *, schema: str | None = None, steps: bool = False
    ) -> "RowScorer":
        """Make a function for `datasets.Dataset.map(..., batched=True)` that adds the score columns.

        Parameters
        ----------
        column
            The column that holds the trace or messages; found by itself by default.
        schema
            The schema of the rows; found by itself by default.
        steps
            Whether to add `branch_steps` too.

        Returns
        -------
        RowScorer
            It can be pickled, and called with a batch of columns.
        """
        from classifier.columns import RowScorer

        client = ScoringClient(self.url, api_key=self._api_key)
        client.options = replace(self.options, steps=steps)
        client._model = self._model
        return RowScorer(client, column=column, schema=schema, steps=steps)

    def info(self) -> dict[str, Any]:
        """Return what the service says of itself: model, device, limits and versions.

        Raises
        ------
        EndpointError
            If the service cannot be reached, refuses the request, or runs another model than before.
        """
        return self._send("GET", "/v1/info")

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Copies in worker processes have no one to close them.
        if "_http" in self.__dict__:
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the connections."""
        return {
            "url": self.url,
            "options": self.options,
            "_api_key": self._api_key,
            "_model": dict(self._model),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over everything but the connections."""
        self.__init__(state["url"], api_key=state["_api_key"])  # type: ignore[misc]
        self.options = state["options"]
        self._model = state["_model"]

    def _score(self, traces: Sequence[str]) -> list[ServedScore | RowError]:
        try:
            return scores_of(self._send("POST", "/v1/score", traces), len(traces))
        except TooMuchError as error:
            if len(traces) == 1:
                return [error.result_of_one()]
        half = len(traces) // 2
        return self._score(traces[:half]) + self._score(traces[half:])

    def _send(self, method: str, path: str, traces: Sequence[str] | None = None) -> dict[str, Any]:
        with self._opening, transport_errors(self.url, reached=self._reached):
            if self._http is None:
                self._http = open_http(self.url, self._api_key, self.options)
            http = self._http
        request = http.build_request(method, path, **request_options(traces, self.options))

        def send() -> dict[str, Any]:
            with transport_errors(self.url, reached=self._reached):
                answer = http.send(request)
            self._reached = True
            return checked_answer(answer)

        return of_one_model(retry(send, self.options), self._model, self.url)


class AsyncScoringClient:
    """Scores traces through a running service, from an event loop.

    Parameters
    ----------
    url, api_key, options
        As for `ScoringClient`.
    """

    def __init__(self, url: str, *, api_key: str | None = None, **options: Any) -> None:
        self.url = url.rstrip("/")
        self.options = ClientOptions(**options)
        self._reached = False
        self._model: dict[str, Any] = {}
        with transport_errors(self.url, reached=False):
            self._http = open_async_http(self.url, api_key, self.options)
        self._turns = asyncio.Semaphore(self.options.connections)

    async def score(self, trace: str) -> ServedScore:
        """Score one trace; see `ScoringClient.score`."""
        return (await self.score_batch([trace]))[0]

    async def score_batch(self, traces: Iterable[str]) -> list[ServedScore]:
        """Score traces, several requests at a time; see `ScoringClient.score_batch`."""
        return all_scores(await self.score_batch_or_errors(traces))

    async def score_batch_or_errors(self, traces: Iterable[object]) -> list[ServedScore | RowError]:
        """Score traces; see `ScoringClient.score_batch_or_errors`."""
        results, texts = checked_texts(traces)
        tasks = [asyncio.ensure_future(self._score(batch)) for batch in batches_of(texts, self.options)]
        try:
            return in_place(results, await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def info(self) -> dict[str, Any]:
        """Return what the service says of itself; see `ScoringClient.info`."""
        return await self._send("GET", "/v1/info")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _score(self, traces: Sequence[str]) -> list[ServedScore | RowError]:
        try:
            async with self._turns:
                answer = await self._send("POST", "/v1/score", traces)
            return scores_of(answer, len(traces))
        except TooMuchError as error:
            if len(traces) == 1:
                return [error.result_of_one()]
        half = len(traces) // 2
        return await self._score(traces[:half]) + await self._score(traces[half:])

    async def _send(self, method: str, path: str, traces: Sequence[str] | None = None) -> dict[str, Any]:
        request = self._http.build_request(method, path, **request_options(traces, self.options))

        async def send() -> dict[str, Any]:
            with transport_errors(self.url, reached=self._reached):
                answer = await self._http.send(request)
            self._reached = True
            return checked_answer(answer)

        return of_one_model(await retry_async(send, self.options), self._model, self.url)

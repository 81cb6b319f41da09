"""What `/metrics` shows beside BentoML's own metrics."""

from collections.abc import Iterable
from functools import cache

from classifier.errors import RowError


class Metrics:
    """Histograms, counters and a gauge, summed over processes.

    `prometheus_client` reads where to keep its figures when it is first imported, so it is imported here and
    not with the module.
    """

    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        seconds = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
        sizes = tuple(2**power for power in range(13))
        rates = tuple(round(0.05 * step, 2) for step in range(1, 21))
        self.in_flight = Gauge(
            "branching_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum"
        )
        self._refused = Counter(
            "branching_refused_total", "Requests that ended in an error, by its type.", ["error_type"]
        )
        self._traces = Counter(
            "branching_traces_total", "Traces, by outcome: scored, or the type of the error.", ["outcome"]
        )
        self._rates = Histogram("branching_branch_rate", "Branch rates of traces.", buckets=rates)
        self._queue = Histogram(
            "branching_queue_seconds", "Time until the encoder began with a request.", buckets=seconds
        )
        self._tokenise = Histogram(
            "branching_tokenise_seconds",
            "Time a request took to read, split, tokenise and pack, and to write its answer.",
            buckets=seconds,
        )
        self._encode = Histogram(
            "branching_encode_seconds", "Time of a call of the encoder.", buckets=seconds
        )
        self._call_windows = Histogram(
            "branching_call_windows", "Windows in a call of the encoder.", buckets=sizes
        )
        self._request_windows = Histogram("branching_request_windows", "Windows of a request.", buckets=sizes)
        self._request_traces = Histogram("branching_request_traces", "Traces of a request.", buckets=sizes)

    def call(self, windows: int, seconds: float) -> None:
        """Count a call of the encoder."""
        self._encode.observe(seconds)
        self._call_windows.observe(windows)

    def request(self, *, queue: float, tokenise: float, windows: int) -> None:
        """Count a request that was answered."""
        self._queue.observe(queue)
        self._tokenise.observe(tokenise)
        self._request_windows.observe(windows)

    def traces(self, outcomes: Iterable[float | RowError]) -> None:
        """Count the traces of a request: their branch rates, or their errors."""
        count = 0
        for outcome in outcomes:
            count += 1
            if isinstance(outcome, RowError):
                self._traces.labels(outcome.error_type).inc()
            else:
                self._traces.labels("scored").inc()
                self._rates.observe(outcome)
        self._request_traces.observe(count)

    def refused(self, error_type: str) -> None:
        """Count a request that ended in an error."""
        self._refused.labels(error_type).inc()


@cache
def service_metrics() -> Metrics:
    """Return the metrics of this process."""
    return Metrics()

"""What the service accepts: every limit is a flag of `branching serve` and an environment variable."""

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from classifier.errors import OptionError


def _limit(default: float, least: float, meaning: str) -> Any:
    return field(default=default, metadata={"least": least, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the service.

    The meaning of each one is in its field's metadata: help texts and documentation are checked against it.

    Raises
    ------
    OptionError
        If a limit is below what makes sense, or is no finite number.
    """

    max_body_bytes: int = _limit(
        32_000_000, 1_000, "Largest request body, also after decompression; a larger one gets 413."
    )
    max_items: int = _limit(4096, 1, "Most traces in a request; more get 422.")
    max_trace_characters: int = _limit(1_000_000, 1, "Longest trace; a longer one is an error of its item.")
    max_stream_bytes: int = _limit(
        4_000_000_000, 1_000, "Largest NDJSON stream after decompression; each line has the body's limit."
    )
    max_in_flight: int = _limit(128, 1, "Most requests at a time; further ones get 429.")
    queue_timeout: float = _limit(
        30.0, 0.01, "Seconds until the encoder must have begun with a request; later it gets 503."
    )
    request_timeout: float = _limit(
        300.0, 0.01, "Seconds until a request must be answered; later it gets 504."
    )
    drain_timeout: float = _limit(
        60.0, 0.0, "Seconds that requests in flight have to finish after SIGTERM or SIGINT."
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            value, least = getattr(self, one.name), one.metadata["least"]
            # Not a number is neither below nor above.
            if not least <= value < math.inf:
                raise OptionError(f"{one.name} is {value}; it must be at least {least}, and finite")

    def to_dict(self) -> dict[str, int | float]:
        """Return the limits as JSON can hold them."""
        return asdict(self)

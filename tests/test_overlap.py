"""Reading ahead ends with its consumer."""

from collections.abc import Iterator
from contextlib import closing

from classifier.overlap import read_ahead


def test_a_consumer_that_stops_early_closes_what_is_read() -> None:
    ended: list[bool] = []

    def items() -> Iterator[int]:
        try:
            yield from range(1_000)
        finally:
            ended.append(True)

    source = items()
    with closing(read_ahead(source)) as ahead:
        assert [next(ahead), next(ahead)] == [0, 1]
    # The generator is still referred to here, so only the reader can have closed it.
    assert ended == [True]
    assert next(source, None) is None

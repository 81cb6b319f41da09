"""A small Ray cluster for tests, and the warnings that Ray itself gives."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from classifier.adapters.ray import import_ray
from classifier.adapters.ray_files import ray_running

RAY_WARNINGS = [
    # Ray 2.60 warns about its own settings when it makes its default ones, and about small inputs.
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:The minimum number of concurrent actors:UserWarning:ray"),
    # It would rather filter by expressions, which cannot hold a `BranchFilter`.
    pytest.mark.filterwarnings("ignore:Use 'expr' instead of 'fn':UserWarning:ray"),
]


@contextmanager
def two_cpus() -> Iterator[None]:
    """Run Ray with two CPUs and little memory, and stop it afterwards."""
    with ExitStack() as stack:
        for attempt in range(4):
            try:
                stack.enter_context(ray_running(num_cpus=2, object_store_memory=200 << 20))
                break
            except Exception as error:
                # Ray gives its own processes 30 seconds to start, which a busy machine can exceed.
                if "timed out during startup" not in str(error) or attempt == 3:
                    raise
                import_ray().shutdown()
        yield

"""A small Ray cluster for tests, and the warnings that Ray itself gives."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from classifier.adapters.ray_files import ray_running

RAY_WARNINGS = [
    # Ray 2.60 warns about its own settings when it makes its default ones, and about small inputs.
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:The minimum number of concurrent actors:UserWarning:ray"),
]


@contextmanager
def two_cpus() -> Iterator[None]:
    """Run Ray with two CPUs and little memory, and stop it afterwards."""
    # A busy machine may take longer than Ray waits by itself.
    os.environ["RAY_raylet_start_wait_time_s"] = "180"  # noqa: SIM112 - Ray's own spelling
    with ray_running(num_cpus=2, object_store_memory=200 << 20):
        yield

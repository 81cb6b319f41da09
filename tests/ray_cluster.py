"""A small Ray cluster for tests, and the warnings that Ray itself gives."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

RAY_WARNINGS = [
    # Ray 2.60 warns about its own settings when it makes its default ones, and about small inputs.
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:The minimum number of concurrent actors:UserWarning:ray"),
]


@contextmanager
def two_cpus() -> Iterator[None]:
    """Run Ray with two CPUs and little memory, and stop it afterwards."""
    import ray

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200 << 20,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {"HF_HUB_OFFLINE": "1"}},
    )
    try:
        yield
    finally:
        ray.shutdown()

"""Memory that a training step frees stays with the process."""

import subprocess
import sys

import pytest

from training.freed_memory import keep_freed_memory

FAULTS = """
import resource, sys
import numpy as np
from training.freed_memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit("the C library keeps what it will")
def use():
    return np.full(64 << 20, 1, dtype=np.uint8)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(choice: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", FAULTS, choice], capture_output=True, text=True, timeout=60, check=False
    )
    if "keeps what it will" in run.stderr:
        pytest.skip("this C library has no such setting")
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


def test_freed_memory_is_taken_up_again() -> None:
    assert page_faults("keep") < 100 < page_faults("give back")


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert not keep_freed_memory()

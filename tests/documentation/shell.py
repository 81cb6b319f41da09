"""Runs bash blocks, and the service that one of them may start."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.documentation.blocks import Block
from tests.service_process import STOP_SECONDS

ROOT = Path(__file__).parents[2]
PRELUDE = Path(__file__).with_name("prelude.sh").read_text(encoding="utf-8")
BLOCK_SECONDS = 600


@contextmanager
def shell(folder: Path, service_port: int) -> Iterator["Shell"]:
    """Run bash blocks in a folder; a service that they start is stopped at the end.

    Parameters
    ----------
    folder
        The working directory.
    service_port
        Where `branching serve` listens.
    """
    try:
        yield Shell(folder, service_port)
    finally:
        started = folder / "service.pid"
        if started.exists():
            _stop(int(started.read_text()))


class Shell:
    """Runs bash blocks in a folder."""

    def __init__(self, folder: Path, service_port: int) -> None:
        self._folder = folder
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # What `make` hands down must not reach the blocks' own calls of make.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        self._environment = kept | {
            "PATH": programs,
            "REPOSITORY": str(ROOT),
            "SERVICE_PORT": str(service_port),
            "BRANCHING_PORT": str(service_port),
            "BENTOML_HOME": str(folder / "bentoml"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def run(self, block: Block, code: str) -> str:
        """Run a block's code and return what it printed; fail unless all commands end well."""
        done = subprocess.run(
            ["bash", "-c", f"{PRELUDE}\n{code}"],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=BLOCK_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, (
            f"{block.place} ended with {done.returncode}\n{code}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout


def _stop(pid: int) -> None:
    try:
        service = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    family = [service, *service.children(recursive=True)]
    service.terminate()
    _, alive = psutil.wait_procs(family, STOP_SECONDS)
    for process in alive:
        process.kill()
    assert not alive, f"the service did not end within {STOP_SECONDS} s"

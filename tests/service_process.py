"""Starts `branching serve` in a process of its own on a free port, and stops it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

START_SECONDS = 120
STOP_SECONDS = 60


def _command(process: psutil.Process) -> list[str]:
    try:
        command: list[str] = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        # It ended after it was listed, and its parent has not taken note.
        return []
    return command


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that runs in another process."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def workers(self, service_name: str) -> list[psutil.Process]:
        """Return the processes of one of the two services."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if service_name in _command(child)]

    def ready(self) -> bool:
        """Tell whether the service says that it is ready."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until the service says that it is ready; fail if it ends first."""
        deadline = time.monotonic() + seconds
        while not self.ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the service ended with {self.process.returncode}: {self.text()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"the service is not ready after {seconds} s: {self.text()}")
            time.sleep(0.2)

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def text(self) -> str:
        """Return what the service has logged."""
        return self.log.read_text(errors="replace")


@contextmanager
def running_service(
    folder: Path, *, serve: str | None = None, code: Path | None = None, **variables: object
) -> Iterator[RunningService]:
    """Run a service.

    Parameters
    ----------
    folder
        For its log and for BentoML's files.
    serve
        What `bentoml serve` serves; `branching serve` is run by default.
    code
        A folder whose packages are served instead of those of the repository.
    variables
        Settings and limits by name.
    """
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRANCHING_")}
    environment |= {f"BRANCHING_{name.upper()}": str(value) for name, value in variables.items()}
    environment |= {"BENTOML_HOME": str(folder / "bentoml"), "PYTHONUNBUFFERED": "1"}
    if code is not None:
        environment["PYTHONPATH"] = str(code)
    (folder / "bentoml").mkdir(parents=True, exist_ok=True)
    log = folder / "service.log"
    environment["BRANCHING_PORT"] = str(port)
    command = ["classifier", "serve"] if serve is None else ["bentoml", "serve", serve]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=code,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    service = RunningService(f"http://127.0.0.1:{port}", process, log)
    try:
        service.wait_until_ready()
        yield service
    finally:
        _stop(process)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    for child in children:
        if child.is_running():
            child.kill()

"""Runs a program in a process of its own and measures it from outside."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.sample import ROOT

_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class ProcessRun:
    """What a process did, seen from outside.

    Parameters
    ----------
    seconds
        From its start to its end.
    first_seconds
        From its start to its first line of output; None where it printed none.
    cpu_seconds
        Of all its threads, user and system.
    peak_megabytes
        The most memory it held, in 10^6 bytes.
    lines
        What it printed, each line read as JSON.
    """

    seconds: float
    first_seconds: float | None
    cpu_seconds: float
    peak_megabytes: float
    lines: list[dict[str, Any]]


def run_process(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None, *, reads_json: bool = True
) -> ProcessRun:
    """Run a program to its end.

    Parameters
    ----------
    command
        The program and its arguments.
    environment
        Variables to set beside those of this process.
    reads_json
        Whether it prints JSON lines, which are to be read.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    variables = {**os.environ, **(environment or {})}
    with tempfile.TemporaryDirectory() as name:
        usage_file, errors_file = Path(name) / "usage.json", Path(name) / "errors.txt"
        launcher = [sys.executable, "-S", "-E", str(_LAUNCHER), str(usage_file)]
        lines: list[dict[str, Any]] = []
        first: float | None = None
        with (
            errors_file.open("w", encoding="utf-8") as errors,
            subprocess.Popen(
                [*launcher, *map(str, command)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env=variables,
            ) as process,
        ):
            for line in process.stdout or ():
                first = time.time() if first is None else first
                if reads_json:
                    lines.append(json.loads(line))
        usage = json.loads(usage_file.read_text(encoding="utf-8"))
        if usage["code"]:
            shown = errors_file.read_text(encoding="utf-8")[-2_000:]
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {usage['code']}:\n{shown}")
    return ProcessRun(
        seconds=usage["ended"] - usage["began"],
        first_seconds=None if first is None else first - usage["began"],
        cpu_seconds=usage["cpu_seconds"],
        peak_megabytes=usage["peak_megabytes"],
        lines=lines,
    )


def describe_machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, memory, versions, commit."""
    import onnxruntime

    from classifier.version import __version__

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "package": __version__,
        "commit": commit.stdout.strip() or None,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _processor() -> str:
    description = Path("/proc/cpuinfo")
    if description.is_file():
        for line in description.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                flags = " with AVX512-VNNI" if "avx512_vnni" in description.read_text("utf-8") else ""
                return line.partition(":")[2].strip() + flags
    return platform.processor() or platform.machine()

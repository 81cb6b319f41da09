"""Runs a program and notes what it used, from a process so small that it adds nothing to the figures.

A new process starts out with the memory peak of the one that made it, so a large benchmark must not make it.

Run: python -S -E launcher.py USAGE.json PROGRAM [ARGUMENT]...
"""

import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    """Run the program, wait for it, and write its usage."""
    target, *command = sys.argv[1:]
    began = time.time()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    figures = {
        "began": began,
        "ended": time.time(),
        "code": os.waitstatus_to_exitcode(status),
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        # Linux counts in units of 1,024 bytes, macOS in bytes.
        "peak_megabytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1_024) / 1e6,
    }
    Path(target).write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main()

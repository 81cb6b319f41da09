"""How much of the machine other processes took while a benchmark ran."""

import os
import time
from typing import Any

import psutil


class OtherLoad:
    """Watches the processor time that others take, from its making on.

    Figures in wall time mean little where it is large. The processor time of this process and of those that
    it waited for is its own; all other that the machine spent is that of others.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy = _busy_seconds()
        self._own = _own_seconds()

    def describe(self) -> dict[str, Any]:
        """Return the share of the processor time that others took until now, and the load averages now."""
        available = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        others = _busy_seconds() - self._busy - (_own_seconds() - self._own)
        return {
            "others_share": max(0.0, others / available) if available else 0.0,
            "load_averages": [round(load, 1) for load in os.getloadavg()],
        }


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    # A guest's time is part of the user's.
    idle = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(getattr(times, name) for name in times._fields if name not in idle))


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

"""The page that carries the measured figures on to a million and a billion traces."""

import statistics
from typing import Any, Final

from benchmarks.tables import number, table

_TRACES: Final = (10**6, 10**9)
_TOKENS_A_TRACE: Final = 8_000
_CORES: Final = (2, 16, 64, 16 * 64)


def scale_page(compare: dict[str, Any]) -> str:
    """Return the page.

    Parameters
    ----------
    compare
        The results of `benchmarks.compare`.
    """
    sample, machine, threads = compare["sample"], compare["machine"], compare["threads"]
    own = compare["contenders"]["command_fp32"]
    speeds = {"fp32": _tokens_per_core(own, sample, threads)}
    if "command_int8" in compare["contenders"]:
        speeds["int8"] = _tokens_per_core(compare["contenders"]["command_int8"], sample, threads)
    rows = []
    for precision, speed in speeds.items():
        for cores in _CORES:
            days = [traces * _TOKENS_A_TRACE / (speed * cores) / 86_400 for traces in _TRACES]
            rows.append([precision, f"{cores:,}", *[_duration(value) for value in days]])
    measured = "; ".join(
        f"{speed:,.0f} trace tokens a second and core in {name}" for name, speed in speeds.items()
    )
    hours = _TRACES[0] * _TOKENS_A_TRACE / speeds["fp32"] / 3_600
    paragraphs = [
        "# A million and a billion traces",
        "Made by `python -m benchmarks.document` from the figures of [the benchmarks](benchmarks.md).",
        f"Measured on {machine['processor']}, threads: {threads}, `branching score` end to end: {measured}. "
        f"A trace of a reasoning corpus is taken as {_TOKENS_A_TRACE:,} tokens.",
        f"The arithmetic: 10⁶ traces × {_TOKENS_A_TRACE:,} tokens ÷ {speeds['fp32']:,.0f} tokens a second "
        f"and core = {number(hours)} core-hours = {number(hours / 24)} core-days; divided by the number of "
        "cores that is the time.",
        table(["precision", "cores like these", "10⁶ traces", "10⁹ traces"], rows),
        "Only the first row of each precision is near what was measured; the others take it that cores add "
        "up. Rows are independent, so a corpus is split by files over machines, and each machine runs one "
        "process with one thread a core; what does not add up is shared memory bandwidth and the clock speed "
        "of many-core machines. Measure yours with `make bench` before planning.",
        "A GPU has not been measured, so there is no figure for one.",
    ]
    return "\n\n".join(paragraphs) + "\n"


def _tokens_per_core(runs: list[dict[str, float]], sample: dict[str, Any], threads: int) -> float:
    characters = statistics.median(run["characters"] / run["seconds"] for run in runs)
    return float(characters * sample["tokens"] / sample["characters"] / threads)


def _duration(days: float) -> str:
    if days >= 1:
        return f"{number(days)} days"
    return f"{number(days * 24)} h" if days * 24 >= 1 else f"{number(days * 1_440)} min"

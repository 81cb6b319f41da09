"""The page that carries the measured figures on to a million and a billion traces."""

from typing import Any, Final

from benchmarks.side_by_side import load_note, rate
from benchmarks.tables import number, table

_TRACES: Final = (10**6, 10**9)
TOKENS_A_TRACE: Final = 8_000
"""What a trace of a reasoning corpus is taken as."""
_MACHINES: Final = {
    "2 cores, as measured": 2,
    "workstation, 16 cores": 16,
    "server, 64 cores": 64,
    "cluster of 16 servers, 1,024 cores": 16 * 64,
}


def scale_page(compare: dict[str, Any], gpu: dict[str, Any] | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    compare
        The results of `benchmarks.compare`.
    gpu
        Those of `benchmarks.gpu`, where there are any.
    """
    machine, threads = compare["machine"], compare["threads"]
    speeds = {name: _tokens_per_core(compare, name) for name in compare["variants"]}
    rows = []
    for name, speed in speeds.items():
        for label, cores in _MACHINES.items():
            days = [traces * TOKENS_A_TRACE / (speed * cores) / 86_400 for traces in _TRACES]
            rows.append([name, label, *[_duration(value) for value in days]])
    measured = "; ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items())
    first, speed = next(iter(speeds.items()))
    hours = _TRACES[0] * TOKENS_A_TRACE / speed / 3_600
    paragraphs = [
        "# A million and a billion traces",
        "Made by `python -m benchmarks.document` from the figures of [the benchmarks](benchmarks.md).",
        f"Measured on {machine['processor']}, threads: {threads}, `branching score` end to end, in trace "
        f"tokens a second and core: {measured}. {load_note(compare['load'])}",
        f"A trace of a reasoning corpus is taken as {TOKENS_A_TRACE:,} tokens. The arithmetic, for "
        f"{first}: 10⁶ traces × {TOKENS_A_TRACE:,} tokens ÷ {speed:,.0f} tokens a second and core = "
        f"{number(hours)} core-hours = {number(hours / 24)} core-days; divided by the number of cores that "
        "is the time.",
        table(["model", "machine, of cores like these", "10⁶ traces", "10⁹ traces"], rows),
        "Only the first row of each model is near what was measured; the others take it that cores add up. "
        "Rows are independent, so a corpus is split by files over processes and machines. One process splits "
        "and tokenises in one thread and runs the model in the others, so with the small model give each "
        "process few cores (8, say) and run several; what does not add up is shared memory bandwidth and the "
        "clock speed of many-core machines. Measure yours with `make bench` before planning.",
        _on_gpu(gpu, compare),
    ]
    return "\n\n".join(paragraphs) + "\n"


def is_former(results: dict[str, Any], name: str, compare: dict[str, Any] | None) -> bool:
    """Tell whether a model is another than the comparison's of that name.

    Parameters
    ----------
    results
        What was measured with the model, with its SHA-256 if that is known.
    name
        The model's name.
    compare
        The results of `benchmarks.compare`, where there are any.
    """
    ours = compare["variants"].get(name) if compare else None
    return ours is not None and results.get("sha256") not in (None, ours["model"]["sha256"])


def former_note(gpu: dict[str, Any], compare: dict[str, Any] | None) -> str:
    """Say which of the GPU's models are others than the comparison's."""
    former = [name for name, one in gpu["variants"].items() if is_former(one, name, compare)]
    if not former:
        return ""
    models, these = ("models", "these ones") if len(former) > 1 else ("model", "this one")
    return f" with the {' and '.join(former)} {models} before {these}"


def _on_gpu(gpu: dict[str, Any] | None, compare: dict[str, Any]) -> str:
    if gpu is None:
        return (
            "A GPU has not been measured, so there is no figure for one: with T trace tokens a second on "
            f"one, a million traces take 10⁶ × {TOKENS_A_TRACE:,} ÷ T seconds."
        )
    rows = []
    for name, one in gpu["variants"].items():
        speed = one["trace_tokens_per_second"]
        days = [traces * TOKENS_A_TRACE / speed / 86_400 for traces in _TRACES]
        rows.append([name, f"{speed:,.0f}", *[_duration(value) for value in days]])
    return (
        f"On one {gpu['device']} with one process ([measured](benchmarks.md#gpu)"
        f"{former_note(gpu, compare)}), the time is 10⁶ × {TOKENS_A_TRACE:,} ÷ trace tokens a second:\n\n"
        + table(["model", "trace tokens a second", "10⁶ traces", "10⁹ traces"], rows)
    )


def _tokens_per_core(compare: dict[str, Any], name: str) -> float:
    characters = rate(compare["contenders"][f"command_{name}"])
    tokens = compare["variants"][name]["tokens"] / compare["sample"]["characters"]
    return float(characters * tokens / compare["threads"])


def _duration(days: float) -> str:
    if days >= 1:
        return f"{number(days)} days"
    return f"{number(days * 24)} h" if days * 24 >= 1 else f"{number(days * 1_440)} min"

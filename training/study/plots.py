"""The plots of a study."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.study.results import OVERALL

Record = dict[str, Any]


def write_plots(results: Record, folder: Path) -> dict[str, Path]:
    """Draw the plots.

    Parameters
    ----------
    results
        What `collect_results` worked out.
    folder
        Where to write.

    Returns
    -------
    dict
        What each shows, and where it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    main = {name: arm for name, arm in results["arms"].items() if name == arm["kind"]}
    drawn = {
        "Accuracy by arm": _accuracy(main),
        "Training loss": _curves(main),
        "Loss and accuracy": _loss(main),
    }
    if results["sweep"]["points"]:
        drawn["Accuracy by fraction kept"] = _sweep(results["sweep"])
    paths = {}
    for name, figure in drawn.items():
        paths[name] = folder / f"{name.lower().replace(' ', '-')}.png"
        figure.savefig(paths[name], dpi=120)
    return paths


def _accuracy(arms: Record) -> Figure:
    figure, axes = _figure(9, 4)
    names = list(next(iter(arms.values()))["benchmarks"]) if arms else []
    for index, name in enumerate(names):
        places = [number + (index - (len(names) - 1) / 2) * 0.15 for number in range(len(arms))]
        _intervals(axes, places, [arm["benchmarks"][name]["greedy"] for arm in arms.values()], name)
    axes.set_xticks(range(len(arms)), list(arms), rotation=20)
    axes.set_ylabel("right, % (95 % interval)")
    # Above the axes, where no interval is.
    axes.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=max(1, len(names)))
    return figure


def _curves(arms: Record) -> Figure:
    figure, axes = _figure(7, 4)
    for name, arm in arms.items():
        axes.plot(
            [entry["step"] for entry in arm["curve"]], [entry["loss"] for entry in arm["curve"]], label=name
        )
    axes.set_xlabel("step")
    axes.set_ylabel("training loss, nats a token")
    axes.legend(fontsize="small")
    return figure


def _loss(arms: Record) -> Figure:
    figure, axes = _figure(6, 4)
    for name, arm in arms.items():
        loss = arm["loss"]["trained"]["all"]
        _intervals(axes, [loss], [arm["benchmarks"][OVERALL]["greedy"]], name)
    axes.set_xlabel("loss on its own data, nats a token")
    axes.set_ylabel("right, mean of the benchmarks, %")
    axes.legend(fontsize="small")
    return figure


def _sweep(sweep: Record) -> Figure:
    figure, axes = _figure(6, 4)
    keeps = [point["keep"] for point in sweep["points"]]
    seeds = ", ".join(map(str, sweep["seeds"]))
    _intervals(axes, keeps, sweep["points"], f"filtered by branch rate (1 = unfiltered), seeds {seeds}")
    axes.set_xlabel("fraction kept")
    axes.set_ylabel("right, mean of the benchmarks, %")
    axes.legend(fontsize="small")
    return figure


def _intervals(axes: Axes, places: list[float], estimates: list[Record], label: str) -> None:
    values = [100 * one["value"] for one in estimates]
    below = [value - 100 * (one["low"] or 0.0) for value, one in zip(values, estimates, strict=True)]
    above = [100 * (one["high"] or 0.0) - value for value, one in zip(values, estimates, strict=True)]
    spread = [[max(0.0, one) for one in below], [max(0.0, one) for one in above]]
    axes.errorbar(places, values, yerr=spread, fmt="o", capsize=3, markersize=4, label=label)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()

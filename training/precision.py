"""Other precisions of a model: made, checked against float32 on real text, and sealed with the figures."""

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from classifier.encoder import window_inputs
from classifier.errors import InputFileError, OptionError, OutputFileError
from classifier.model_folder import PRECISION_FILES, model_path, read_model_folder
from classifier.scorer import BranchScorer
from training.export import seal
from training.half import convert_to_float16
from training.precision_agreement import Agreement, measure_agreement
from training.quantise import Inputs, quantise
from training.trace_files import read_raw_traces
from training.window_recorder import WindowRecorder

EXAMPLE_TRACES: Final = Path(__file__).parents[1] / "examples" / "demo" / "traces.jsonl"
"""What precisions are compared on where no traces are given."""

_COMPARED_TRACES = 200
_CALIBRATION_TRACES = 60
_CALIBRATION_WINDOWS = 96
_GENERATED_FIELDS = ("format", "layout", "sha256")


Item = TypeVar("Item")


class AgreementError(RuntimeError):
    """Another precision does not follow float32 closely enough to be used."""


@dataclass(frozen=True, slots=True)
class PrecisionExport:
    """What `export_precision` made.

    Parameters
    ----------
    model
        The new model folder.
    precision
        `fp16` or `int8`.
    traces
        Where the traces come from that the precisions were compared on.
    megabytes
        The size of the float32 file and of the new one, in 10^6 bytes.
    agreement
        How closely the new one follows float32.
    """

    model: str
    precision: str
    traces: list[str]
    megabytes: dict[str, float]
    agreement: Agreement

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return dataclasses.asdict(self)


def export_precision(
    model: Path | None,
    precision: str,
    output: Path,
    traces: Sequence[Path] = (),
    threads: int | None = None,
) -> PrecisionExport:
    """Write a copy of a model folder that has one more precision.

    Parameters
    ----------
    model
        The model folder; the embedded model by default.
    precision
        `fp16` for GPUs, or `int8` for CPUs.
    output
        The folder to write; it must not exist yet.
    traces
        Files or folders of traces: int8 takes its scales from some of them, and the precisions are compared
        on others, or on the same where there are few. By default the example traces of the source tree.
    threads
        CPU threads; all cores by default.

    Returns
    -------
    PrecisionExport
        What was made, with the figures that now stand in the card too.

    Raises
    ------
    AgreementError
        If the new precision does not follow float32 closely enough; nothing is left behind then.
    UsageError
        If an option, the output or the traces cannot be used.
    ModelError
        If the model folder is incomplete or damaged.
    """
    if precision not in PRECISION_FILES or precision == "fp32":
        raise OptionError(f"precision {precision!r} cannot be made from fp32; give fp16 or int8")
    if output.exists():
        raise OutputFileError(f"{output} exists already; give a new folder")
    source = model_path(model)
    folder = read_model_folder(source)
    paths = list(traces) or [_example_traces()]
    compared, calibration = _choose(paths)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as name:
        draft = Path(name) / "model"
        shutil.copytree(source, draft)
        new_file = draft / PRECISION_FILES[precision]
        if precision == "int8":
            quantise(folder.model_file, new_file, calibration_inputs(source, calibration))
        else:
            convert_to_float16(folder.model_file, new_file)
        card = {field: value for field, value in folder.card.items() if field not in _GENERATED_FIELDS}
        seal(draft, card, folder.layout)
        export = PrecisionExport(
            model=str(output),
            precision=precision,
            traces=[path.name for path in paths],
            megabytes={
                one: (draft / PRECISION_FILES[one]).stat().st_size / 1e6 for one in ("fp32", precision)
            },
            agreement=measure_agreement(draft, precision, compared, threads),
        )
        if export.agreement.shortfalls:
            raise AgreementError(
                f"the {precision} file does not follow fp32 closely enough: "
                f"{'; '.join(export.agreement.shortfalls)} (on {export.agreement.traces} traces). Nothing "
                "was written. Give more traces of the kind to score with --traces, or stay with fp32"
            )
        figures = {"traces_from": export.traces, **dataclasses.asdict(export.agreement)}
        precisions = {**card.get("precisions", {}), precision: figures}
        seal(draft, {**card, "precisions": precisions}, folder.layout)
        draft.rename(output)
    return export


def calibration_inputs(folder: Path, traces: Sequence[str]) -> list[Inputs]:
    """Return graph inputs of real text, one window each, packed as the scorer packs them.

    Parameters
    ----------
    folder
        The model folder.
    traces
        Chains of thought.

    Raises
    ------
    OptionError
        If none of the traces can be scored.
    """
    recorder = WindowRecorder()
    BranchScorer(folder, encoder=recorder).score_batch_or_errors(traces)
    if not recorder.windows:
        raise OptionError("none of the traces can be scored; give others with --traces")
    max_steps = read_model_folder(folder).layout.max_steps
    return [window_inputs([window], max_steps) for window in _spread(recorder.windows, _CALIBRATION_WINDOWS)]


def _choose(paths: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Return the traces to compare on, and others, as far as there are others, to calibrate on."""
    texts = [row.trace for row in read_raw_traces(paths)]
    if not texts:
        raise InputFileError(f"there is no trace in {', '.join(map(str, paths))}")
    if len(texts) < _COMPARED_TRACES + _CALIBRATION_TRACES:
        return _spread(texts, _COMPARED_TRACES), _spread(texts, _CALIBRATION_TRACES)
    chosen = _spread(texts, _COMPARED_TRACES + _CALIBRATION_TRACES)
    calibration = set(_spread(range(len(chosen)), _CALIBRATION_TRACES))
    return (
        [text for index, text in enumerate(chosen) if index not in calibration],
        [chosen[index] for index in sorted(calibration)],
    )


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """Return at most so many items, evenly spread over all."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def _example_traces() -> Path:
    if not EXAMPLE_TRACES.is_file():
        raise OptionError(
            "the example traces are only in the source tree; give traces of the kind to score with --traces"
        )
    return EXAMPLE_TRACES

"""What filtering files did, or would do, for people and machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from classifier.files.manifest import Provenance
    from classifier.row_stream import RowCounts
    from classifier.selection import KeepPlan, SelectionReport

CHARACTERS_PER_TOKEN: Final = 4
"""For estimates of tokens from characters: about what common tokenizers give for English traces."""


@dataclass(frozen=True, slots=True)
class FilterSummary:
    """What a run of `filter_files` did.

    Parameters
    ----------
    inputs
        The files that were read.
    output, dropped_output
        The files that were written.
    counts
        What became of the rows.
    selection
        What was kept and dropped; lengths are characters of the traces.
    rule
        The rule, with the rates that it was turned into.
    not_best
        How many of the dropped rows went because another trace of theirs was better.
    without_trace
        How many rows have a rate, but no trace where it was looked for; their lengths are 0.
    unknown_provenance
        Inputs that have scores, but nothing says of which model.
    provenance
        What scored the rows.
    seconds
        Wall time.
    """

    inputs: list[str]
    output: str
    dropped_output: str | None
    counts: RowCounts
    selection: SelectionReport
    rule: dict[str, Any]
    not_best: int
    without_trace: int
    unknown_provenance: list[str]
    provenance: Provenance | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON can hold it."""
        counts = self.counts.to_dict()
        selection = self.selection.to_dict()
        kept, dropped = selection.pop("length_kept"), selection.pop("length_dropped")
        return {
            "inputs": self.inputs,
            "output": self.output,
            "dropped_output": self.dropped_output,
            **counts,
            "kept": self.selection.kept,
            "dropped": self.selection.dropped,
            "not_best": self.not_best,
            "rule": self.rule,
            "tokens_kept": tokens(kept),
            "tokens_dropped": tokens(dropped),
            "selection": selection,
            "without_trace": self.without_trace,
            "unknown_provenance": self.unknown_provenance,
            "provenance": self.provenance,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class FilterPreview:
    """What keeping different fractions would do.

    Parameters
    ----------
    inputs
        The files that were read.
    counts
        What became of the rows.
    characters
        Of all traces together.
    plans
        One for each fraction; lengths are characters of the traces.
    without_trace
        How many rows have a rate, but no trace where it was looked for; their lengths are 0.
    unknown_provenance
        Inputs that have scores, but nothing says of which model.
    provenance
        What scored the rows.
    seconds
        Wall time.
    """

    inputs: list[str]
    counts: RowCounts
    characters: float
    plans: list[KeepPlan]
    without_trace: int
    unknown_provenance: list[str]
    provenance: Provenance | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the preview as JSON can hold it."""
        return {
            "inputs": self.inputs,
            **self.counts.to_dict(),
            "tokens": tokens(self.characters),
            "characters_per_token": CHARACTERS_PER_TOKEN,
            "plans": [
                {
                    **asdict(plan),
                    "tokens_kept": tokens(plan.length_kept),
                    "tokens_dropped": tokens(plan.length_dropped),
                }
                for plan in self.plans
            ],
            "without_trace": self.without_trace,
            "unknown_provenance": self.unknown_provenance,
            "provenance": self.provenance,
            "seconds": self.seconds,
        }


def tokens(characters: float | None) -> int | None:
    """Estimate tokens from characters."""
    return None if characters is None else round(characters / CHARACTERS_PER_TOKEN)

"""Scored inputs: which model scored them, and where each has its traces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from classifier.files.manifest import common_provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from classifier.files import InputFile
    from classifier.files.manifest import Provenance
    from classifier.row_stream import RowOptions


@dataclass(frozen=True, slots=True)
class ScoredSources:
    """Scored inputs, what scored them, and where their traces are.

    Parameters
    ----------
    provenance
        What scored the rows, None where no input states it. It names no column where inputs differ in theirs.
    unknown
        The names of the inputs that do not state it.
    options
        How the rows of each input are read, by the name of the input.
    """

    provenance: Provenance | None
    unknown: list[str]
    options: dict[str, RowOptions]

    @classmethod
    def of(cls, sources: Sequence[InputFile], options: RowOptions) -> ScoredSources:
        """Read what scored some inputs.

        Parameters
        ----------
        sources
            The inputs.
        options
            How to read rows. Where it does not say where the traces are, they are where they were when the
            input was scored; an input that does not state it is read as the first that does.

        Raises
        ------
        InputFileError
            If two inputs were scored by different models or precisions.
        """
        provenance, stated = common_provenance(sources)
        unknown = [name for name, found in stated.items() if found is None]
        if options.schema is not None or options.column is not None:
            return cls(provenance, unknown, dict.fromkeys(stated, options))
        places = {name: _trace_place(found or provenance or {}) for name, found in stated.items()}
        if provenance is not None and any(place != _trace_place(provenance) for place in places.values()):
            provenance = {**provenance, "options": {**_options(provenance), "schema": None, "column": None}}
        return cls(
            provenance,
            unknown,
            {
                name: replace(options, schema=schema, column=column)
                for name, (schema, column) in places.items()
            },
        )


def _trace_place(provenance: Provenance) -> tuple[str | None, str | None]:
    """Return the schema and column that rows were scored with."""
    used = _options(provenance)
    return used.get("schema"), used.get("column")


def _options(provenance: Provenance) -> dict[str, Any]:
    used = provenance.get("options")
    return used if isinstance(used, dict) else {}

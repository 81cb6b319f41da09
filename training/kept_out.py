"""Which labelled documents a training run keeps out of training, and reading those alone."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from training.gold import GoldDocument
from training.label_archive import read_labelled

KEPT_OUT_PART: Final = 12
"""One labelled document in so many is kept out of training, for temperature and threshold."""


def is_kept_out(document: GoldDocument) -> bool:
    """Return whether a labelled document is kept out of training, by a hash of its identifier."""
    return zlib.crc32(document.id.encode()) % KEPT_OUT_PART == 0


def read_evaluated(
    gold: Sequence[Path], kept_out: Sequence[Path], traces: Sequence[Path]
) -> dict[Path, list[GoldDocument]]:
    """Read labelled documents that a model may be judged by.

    Parameters
    ----------
    gold
        Files that no model was trained on.
    kept_out
        Files that a model was trained on; only the documents that were kept out are returned.
    traces
        Files and folders of traces that a `.parquet` archive of labels speaks of.

    Returns
    -------
    dict
        File, its documents.

    Raises
    ------
    InputFileError
        If a file cannot be read or has another schema.
    """
    documents = {path: read_labelled(path, traces) for path in (*gold, *kept_out)}
    return {
        path: [one for one in read if path not in kept_out or is_kept_out(one)]
        for path, read in documents.items()
    }


def evaluated_documents(
    gold: Sequence[Path], kept_out: Sequence[Path], traces: Sequence[Path]
) -> list[GoldDocument]:
    """Return the documents of all files; see `read_evaluated`."""
    return [one for read in read_evaluated(gold, kept_out, traces).values() for one in read]

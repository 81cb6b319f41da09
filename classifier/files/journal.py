"""Scores on disk while their output is not complete, so that a run that was stopped can go on.

A journal stands beside the output and grows with each batch that is scored. A later attempt reads the inputs
again from the start, takes from the journal what is there and scores the rest, so that the output does not
depend on where a run was stopped, whatever its format.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from zlib import crc32

from classifier.errors import InputFileError, OptionError
from classifier.files.outputs import FinishedFile, write_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from classifier.files.rows import RowBatch

_ENDING: Final = ".journal"

Added = list[dict[str, Any]]
"""The columns that scoring adds to each row of a batch."""


def journal_path(output: Path) -> Path:
    """Return where the journal of an output stands."""
    return output.with_name(f".{output.name}{_ENDING}")


class ScoreJournal:
    """The scores of the batches that were scored so far, by this attempt or by earlier ones.

    Each line is a record in JSON behind its checksum. A line that a kill or a full disk cut short is removed
    when the next attempt begins.

    Parameters
    ----------
    path
        Where it stands; None for a run that cannot go on later, and then nothing is written.

    Attributes
    ----------
    attempts
        For each attempt, this one the last, the rows that it gave to the scorer.
    finished
        The output that an earlier attempt completed, though it was stopped before its end.
    all_in_place
        Whether an earlier attempt completed every output of its run, and only its journals were left over.
    rows
        Rows whose scores are kept here.
    begun
        Whether an attempt has begun.
    """

    def __init__(self, path: Path | None) -> None:
        self.attempts: list[int] = []
        self.finished: FinishedFile | None = None
        self.all_in_place = False
        self.rows = 0
        self.begun = False
        self._path = path
        self._run: dict[str, Any] | None = None
        self._end = 0
        self._file: BinaryIO | None = None
        self._earlier: Iterator[tuple[dict[str, Any], int]] = iter(())
        self._overwrite = False
        if path is not None and path.exists():
            self._survey(path)

    def made(self, output: Path) -> bool:
        """Tell whether a file is the output that an earlier attempt of this run completed."""
        if self.finished is None or not output.exists() or output.stat().st_size != self.finished.bytes:
            return False
        with output.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.finished.sha256

    def begin(self, run: dict[str, Any], *, overwrite: bool) -> None:
        """Start an attempt.

        Parameters
        ----------
        run
            All that scores depend on besides the rows; must be what it was in earlier attempts.
        overwrite
            Whether scores that do not fit the run are thrown away.

        Raises
        ------
        OptionError
            If the earlier attempts scored in another way, and their scores are not to be thrown away.
        OutputFileError
            If the journal cannot be written.
        """
        self._overwrite = overwrite
        if self._path is None:
            self.attempts.append(0)
            return
        with write_errors(str(self._path)):
            # Opened for reading too, as a file opened for appending cannot be cut.
            self._file = self._path.open("r+b" if self._path.exists() else "w+b")
        if self._run is not None and self._run != run and not overwrite:
            differing = ", ".join(sorted(key for key in run if self._run.get(key) != run[key]))
            raise OptionError(
                f"An unfinished run, whose {self.rows:,} scored rows are in {self._path}, had another "
                f"{differing}. Give the model and options of that run to go on with it, or --overwrite to "
                "start again"
            )
        if self._run != run:
            self._cut(0)
            self._append({"run": run})
            self.attempts = []
            self.rows = 0
        else:
            self._cut(self._end)
            self._earlier = self._batches()
        self._append({"attempt": self.attempts})
        self.attempts.append(0)
        self.begun = True

    def scores(self, batch: RowBatch) -> Added | None:
        """Return the scores that an earlier attempt gave the next batch, None where no attempt came so far.

        Raises
        ------
        InputFileError
            If the rows are not those that were scored, and their scores are not to be thrown away.
        """
        found = next(self._earlier, None)
        if found is None:
            return None
        record, start = found
        if record["digest"] == _digest(batch):
            return list(record["scores"])
        if not self._overwrite:
            raise InputFileError(
                f"{batch.place(0)} and the rows after it are not what an unfinished run scored, whose scores "
                f"are in {self._path}. Give the inputs and options of that run to go on with it, or "
                "--overwrite to score again from here"
            )
        self._earlier = iter(())
        self._cut(start)
        self._append({"attempt": self.attempts[:-1]})
        return None

    def scoring(self, batch: RowBatch) -> None:
        """Note that a batch goes to the scorer."""
        self.attempts[-1] += len(batch.rows)
        self._append({"scoring": len(batch.rows)})

    def keep(self, batch: RowBatch, added: Sequence[dict[str, Any]]) -> None:
        """Keep the scores of a batch, safe from a power cut."""
        self._append({"digest": _digest(batch), "scores": added}, sync=True)
        self.rows += len(batch.rows)

    def finish(self, finished: FinishedFile) -> None:
        """Note that the output is complete and about to be put in its place."""
        self._append({"finished": finished.to_dict()}, sync=True)

    def note_all_in_place(self) -> None:
        """Note that every output of the run is in its place, so that its journals can go one by one."""
        self._append({"all_in_place": True}, sync=True)

    def close(self, *, remove: bool) -> None:
        """Close the journal; it is removed if it is of no more use, or of none yet."""
        if self._file is not None:
            self._file.close()
        if self._path is not None and (remove or (self._file is not None and not self.rows)):
            self._path.unlink(missing_ok=True)

    def _survey(self, path: Path) -> None:
        for record, _, self._end in _records(path):
            if "run" in record:
                self._run = record["run"]
            elif "attempt" in record:
                self.attempts = [*record["attempt"], 0]
            elif "scoring" in record:
                self.attempts[-1] += record["scoring"]
            elif "scores" in record:
                self.rows += len(record["scores"])
            elif "finished" in record:
                self.finished = FinishedFile(**record["finished"])
            elif "all_in_place" in record:
                self.all_in_place = True

    def _batches(self) -> Iterator[tuple[dict[str, Any], int]]:
        assert self._path is not None  # noqa: S101 - only called where there is a journal
        for record, start, end in _records(self._path):
            if "scores" in record:
                yield record, start
            if end >= self._end:
                return

    def _cut(self, end: int) -> None:
        if self._file is not None:
            with write_errors(str(self._path)):
                self._file.seek(end)
                self._file.truncate()

    def _append(self, record: dict[str, Any], *, sync: bool = False) -> None:
        if self._file is None:
            return
        text = json.dumps(record, ensure_ascii=False).encode()
        with write_errors(str(self._path)):
            self._file.write(b"%08x %b\n" % (crc32(text), text))
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())


def _records(path: Path) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Give each whole record with where it starts and ends; stop at the first that is not whole."""
    start = 0
    with path.open("rb") as file:
        for line in file:
            checksum, _, text = line.partition(b" ")
            if not text.endswith(b"\n") or checksum != b"%08x" % crc32(text[:-1]):
                return
            yield json.loads(text), start, start + len(line)
            start += len(line)


def _digest(batch: RowBatch) -> str:
    text = repr(batch.rows) if batch.lines is None else "\n".join(batch.lines)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

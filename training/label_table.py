"""What each labelling function does: coverage, overlap, conflict and accuracy."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.kinds import KIND_CODES, KINDS
from training.gold import GoldDocument
from training.heuristics import ABSTAIN, LABELLING_FUNCTIONS
from training.soft_labels import committed_weights, cross_fitted, gold_kinds
from training.votes import Votes, gold_votes

if TYPE_CHECKING:
    from rich.table import Table

TABLE_FILE: Final = "label_table.json"
"""The table of the committed weights' training documents, beside this module."""

_DECISION_THRESHOLD: Final = 0.5
_CODES: Final = {name: code for code, name in KIND_CODES.items()}


@dataclass(frozen=True, slots=True)
class FunctionFigures:
    """What one labelling function did on some steps.

    Parameters
    ----------
    name, kind, description
        Of the function.
    votes
        On how many steps it voted.
    coverage
        Share of all steps on which it voted.
    overlap
        Share of all steps on which it and at least one other function voted.
    conflict
        Share of all steps on which it voted and another function voted for another kind.
    accuracy
        Share of its votes that agree with the annotation; None without annotations or votes.
    recall
        Share of the annotated steps of its kind on which it voted; None likewise.
    """

    name: str
    kind: str
    description: str
    votes: int
    coverage: float
    overlap: float
    conflict: float
    accuracy: float | None
    recall: float | None


def function_figures(votes: Votes, kinds: NDArray[np.int64] | None = None) -> list[FunctionFigures]:
    """Measure every labelling function on some steps.

    Parameters
    ----------
    votes
        A vote matrix [steps, functions].
    kinds
        The annotated kinds as positions in `KINDS`, if there are any.

    Returns
    -------
    list of FunctionFigures
        One a function, in the order of the matrix's columns.
    """
    steps = max(len(votes), 1)
    cast = votes != ABSTAIN
    voters = cast.sum(axis=1)
    # How many functions voted for each kind on each step, [steps, kinds].
    ballots = np.stack([(votes == kind).sum(axis=1) for kind in range(len(KINDS))], axis=1)
    figures = []
    for column, function in enumerate(LABELLING_FUNCTIONS):
        mine = cast[:, column]
        against = voters - ballots[:, function.vote]
        count = int(mine.sum())
        accuracy = recall = None
        if kinds is not None:
            right = int((kinds[mine] == function.vote).sum())
            of_kind = int((kinds == function.vote).sum())
            accuracy = right / count if count else None
            recall = right / of_kind if of_kind else None
        figures.append(
            FunctionFigures(
                name=function.name,
                kind=function.kind,
                description=function.description,
                votes=count,
                coverage=count / steps,
                overlap=int((mine & (voters > 1)).sum()) / steps,
                conflict=int((mine & (against > 0)).sum()) / steps,
                accuracy=accuracy,
                recall=recall,
            )
        )
    return figures


@dataclass(frozen=True, slots=True)
class LabelTable:
    """The figures of all functions, and of the vote as a whole.

    Parameters
    ----------
    steps
        Number of steps measured on.
    data
        The data in words.
    functions
        The figures of each function.
    uncovered
        Share of the steps on which no function voted.
    average_precision
        Of P(branch) by the vote, against the annotations; None without annotations.
    kappa
        Cohen's kappa with the annotations of the decision that P(branch) is at least a half; None likewise.
    held_out
        Whether these two come from weights fitted on other documents.
    """

    steps: int
    data: str
    functions: tuple[FunctionFigures, ...]
    uncovered: float
    average_precision: float | None = None
    kappa: float | None = None
    held_out: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the table for machines."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Write the table as JSON, a line a function, without the descriptions."""
        content = self.as_dict()
        functions = [
            json.dumps({key: _rounded(value) for key, value in row.items() if key != "description"})
            for row in content.pop("functions")
        ]
        head = json.dumps({key: _rounded(value) for key, value in content.items()})[:-1]
        path.write_text(head + ', "functions": [\n' + ",\n".join(functions) + "\n]}\n", encoding="utf-8")

    def caption(self) -> str:
        """Return what stands below the table."""
        lines = [f"{self.steps:,} steps of {self.data}; no function votes on {self.uncovered:.1%} of them."]
        if self.average_precision is not None and self.kappa is not None:
            whose = "weights fitted on other documents" if self.held_out else "the committed weights"
            lines.append(
                f"Vote ({whose}): average precision {self.average_precision:.3f}, kappa {self.kappa:.3f}."
            )
        return "\n".join(lines)

    def render(self) -> "Table":
        """Return the table for a terminal of 80 columns."""
        from rich.table import Table

        table = Table(
            title="Labelling functions", caption=self.caption(), box=None, padding=(0, 1, 0, 0), width=80
        )
        table.add_column("function", no_wrap=True, overflow="ellipsis")
        table.add_column("kind", no_wrap=True, min_width=4)
        for heading in ("votes", "cover", "overl", "confl", "accur"):
            table.add_column(heading, justify="right", no_wrap=True)
        kind = None
        for row in self.functions:
            if kind is not None and row.kind != kind:
                table.add_section()
            kind = row.kind
            table.add_row(
                row.name,
                _CODES[row.kind],
                f"{row.votes:,}",
                *(_percent(share) for share in (row.coverage, row.overlap, row.conflict, row.accuracy)),
            )
        return table


def _rounded(value: object) -> object:
    return round(value, 5) if isinstance(value, float) else value


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def label_table(
    votes: Votes,
    data: str,
    kinds: NDArray[np.int64] | None = None,
    probabilities: NDArray[np.float32] | None = None,
    *,
    held_out: bool = False,
) -> LabelTable:
    """Make the table of all labelling functions on some steps.

    Parameters
    ----------
    votes
        A vote matrix [steps, functions].
    data
        The data in words.
    kinds
        The annotated kinds as positions in `KINDS`, if there are any.
    probabilities
        The soft labels [steps, 4] of the same steps; with `kinds` they give the figures of the whole vote.
    held_out
        Whether the soft labels come from weights fitted on other documents.
    """
    average_precision = kappa = None
    if kinds is not None and probabilities is not None and len(kinds):
        from sklearn.metrics import average_precision_score, cohen_kappa_score

        branches = kinds > 0
        average_precision = float(average_precision_score(branches, 1.0 - probabilities[:, 0]))
        kappa = float(cohen_kappa_score(branches, 1.0 - probabilities[:, 0] >= _DECISION_THRESHOLD))
    return LabelTable(
        steps=len(votes),
        data=data,
        functions=tuple(function_figures(votes, kinds)),
        uncovered=float((votes == ABSTAIN).all(axis=1).mean()) if len(votes) else 0.0,
        average_precision=average_precision,
        kappa=kappa,
        held_out=held_out,
    )


def gold_table(documents: Sequence[GoldDocument]) -> LabelTable:
    """Make the table of the labelling functions on labelled documents.

    Parameters
    ----------
    documents
        Documents whose steps have kinds.

    Returns
    -------
    LabelTable
        With accuracy and the figures of the whole vote. The vote's weights are fitted on other problems
        than those they label, in five parts; where the documents are too few for that, the committed
        weights vote.

    Raises
    ------
    OptionError
        If a step has no kind.
    """
    kinds = gold_kinds(documents)
    votes = gold_votes(documents)
    problems = [document.problem_id or document.id for document in documents for _ in document.steps]
    held_out = cross_fitted(votes, kinds, problems)
    return label_table(
        votes,
        f"{len(documents):,} labelled documents",
        kinds,
        committed_weights().probabilities(votes) if held_out is None else held_out,
        held_out=held_out is not None,
    )


def committed_table() -> LabelTable:
    """Return the table that comes with the package, as it was measured on its training documents."""
    text = resources.files(__package__).joinpath(TABLE_FILE).read_text(encoding="utf-8")
    content = json.loads(text)
    descriptions = {function.name: function.description for function in LABELLING_FUNCTIONS}
    functions = tuple(
        FunctionFigures(**{**figures, "description": descriptions.get(figures["name"], "")})
        for figures in content.pop("functions")
    )
    return LabelTable(functions=functions, **content)

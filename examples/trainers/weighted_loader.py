"""Train less on traces that branch, instead of dropping them: a DataLoader whose batches carry weights.

    python examples/trainers/weighted_loader.py examples/demo/traces.jsonl

Needs pip install '.[cpu,train]'. Two ways are shown: `weighted_batches` gives every trace and its weight, for
a weighted loss; `sampled_batches` draws traces in proportion to their weights, for a loss that takes none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch.utils.data import DataLoader, WeightedRandomSampler

from classifier import BranchScorer
from classifier.selection import branch_rate_weights

Batch = dict[str, torch.Tensor]
Tokenise = Callable[[str], list[int]]


def with_weights(rows: Sequence[dict[str, Any]], column: str, strength: float = 1.0) -> list[dict[str, Any]]:
    """Score rows and add a `weight` to each: 1 on average, less where a trace branches more.

    Parameters
    ----------
    rows
        Rows with a trace each.
    column
        The column that holds the trace.
    strength
        How strongly the weight falls with the branch rate; 0 weighs all alike.
    """
    scored = BranchScorer().columns(column).score_rows(rows)
    weights = branch_rate_weights([columns["branch_rate"] for columns in scored], strength=strength)
    return [
        {**row, **columns, "weight": float(weight)}
        for row, columns, weight in zip(rows, scored, weights, strict=True)
    ]


def collate(rows: Sequence[dict[str, Any]], column: str, tokenise: Tokenise) -> Batch:
    """Pad traces to one length, and keep their weights beside them.

    Returns
    -------
    dict
        `input_ids` and `labels` int64 [rows, length], where -100 labels padding; `weight` float32 [rows].
    """
    tokens = [torch.tensor(tokenise(row[column])) for row in rows]
    return {
        "input_ids": torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True),
        "labels": torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=-100),
        "weight": torch.tensor([row["weight"] for row in rows], dtype=torch.float32),
    }


def weighted_batches(
    rows: Sequence[dict[str, Any]], column: str, tokenise: Tokenise, batch_size: int
) -> DataLoader[Any]:
    """Return a loader of all rows in random order, each batch with its rows' weights."""
    return DataLoader(
        list(rows),  # type: ignore[arg-type]  # a list is a map-style data set
        batch_size=batch_size,
        shuffle=True,
        collate_fn=lambda batch: collate(batch, column, tokenise),
    )


def sampled_batches(
    rows: Sequence[dict[str, Any]], column: str, tokenise: Tokenise, batch_size: int
) -> DataLoader[Any]:
    """Return a loader that draws rows in proportion to their weights."""
    sampler = WeightedRandomSampler([row["weight"] for row in rows], num_samples=len(rows))
    return DataLoader(
        list(rows),  # type: ignore[arg-type]  # a list is a map-style data set
        batch_size=batch_size,
        sampler=sampler,
        collate_fn=lambda batch: collate(batch, column, tokenise),
    )


def weighted_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the next-token loss in which each trace counts by its weight.

    Parameters
    ----------
    logits
        float [rows, length, vocabulary].
    batch
        As `collate` makes it.
    """
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), batch["labels"][:, 1:], reduction="none", ignore_index=-100
    )
    tokens = (batch["labels"][:, 1:] != -100).sum(dim=1).clamp(min=1)
    return (batch["weight"] * losses.sum(dim=1) / tokens).mean()


def main(
    traces: Path,
    column: Annotated[str, typer.Option(help="The column that holds the trace.")] = "trace",
    strength: Annotated[float, typer.Option(min=0, help="0 weighs all traces alike.")] = 1.0,
) -> None:
    """Weigh the traces of a file of JSON lines, and take a few training steps on them."""
    lines = traces.read_text(encoding="utf-8").splitlines()
    rows = with_weights([json.loads(line) for line in lines], column, strength)
    for row in sorted(rows, key=lambda row: float(row["weight"])):
        typer.echo(f"{row['weight']:.2f}  {row['branch_rate']:.3f}  {str(row[column])[:60]!r}")

    # A model of bytes stands for yours.
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(256, 32), torch.nn.Linear(32, 256))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    for batch in weighted_batches(rows, column, lambda text: list(text.encode()), batch_size=4):
        loss = weighted_loss(model(batch["input_ids"]), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        typer.echo(f"loss {loss.item():.3f}")


if __name__ == "__main__":
    typer.run(main)

"""Fine-tune with TRL on the traces that branch least.

    python examples/trainers/trl_sft.py traces.jsonl --model Qwen/Qwen2.5-0.5B --keep 0.9 -o tuned

Needs pip install '.[cpu,sft]'. The rows need a `problem` and a `trace`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from classifier import BranchFilter, BranchScorer


def least_branching(dataset: Any, keep: float) -> Any:
    """Return the share of a data set whose traces branch least, as prompts and completions."""
    scored = dataset.map(BranchScorer().columns("trace"), batched=True)
    kept = scored.filter(BranchFilter.fit(scored, keep=keep, on_error="drop"))
    return kept.map(
        lambda row: {"prompt": row["problem"] + "\n", "completion": row["trace"]},
        remove_columns=kept.column_names,
    )


def main(
    traces: Path,
    model: Annotated[str, typer.Option(help="A causal language model: a folder or a name on the hub.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the tuned model goes.")],
    keep: Annotated[float, typer.Option(help="The share of the traces to train on.")] = 0.9,
    steps: Annotated[int, typer.Option(help="Optimiser steps; -1 for one epoch.")] = -1,
    max_length: Annotated[int, typer.Option(help="Tokens; longer rows are cut by TRL.")] = 8192,
) -> None:
    """Score, filter, fine-tune."""
    dataset = Dataset.from_json(str(traces))
    kept = least_branching(dataset, keep)
    typer.echo(f"Training on {len(kept)} of {len(dataset)} traces")
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(output),
            max_steps=steps,
            num_train_epochs=1,
            max_length=max_length,
            # TRL asks for bfloat16 by default, which a CPU does not have.
            bf16=torch.cuda.is_available(),
            use_cpu=not torch.cuda.is_available(),
            report_to=[],
        ),
        train_dataset=kept,
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    typer.run(main)

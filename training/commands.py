"""The commands that `branching` finds through the entry-point group `branching.commands`."""

from training.evaluate_command import evaluate
from training.export_command import export
from training.label_command import label
from training.sft_command import sft
from training.study.command import study
from training.train_command import train

__all__ = ["evaluate", "export", "label", "sft", "study", "train"]

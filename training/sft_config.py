"""The settings of `branching sft`."""

from typing import Any, Literal

from pydantic import Field, model_validator

from training.settings import Settings


class SelectionConfig(Settings):
    """Which of the scored rows to train on; see `classifier.selection`.

    Parameters
    ----------
    policy
        `all`; `branch_rate` (with `keep` or `max_rate`, and `by`); `branch_count` (with `max_count`); or
        `best_of` (the `count` least-branching rows of each `problem` that are `correct`).
    keep
        The fraction of the scored rows to keep, the least-branching.
    max_rate
        The highest branch rate to keep.
    by
        The column within whose values the fraction is kept.
    max_count
        The most branching steps a kept row may have.
    problem, correct, count
        For `best_of`: the column that is equal for traces of one problem; the column that is true where the
        trace is right, if only such may be chosen; and how many traces of a problem to keep.
    on_error
        What becomes of a row that cannot be scored.
    """

    policy: Literal["all", "branch_rate", "branch_count", "best_of"] = "branch_rate"
    keep: float | None = Field(default=None, gt=0, le=1)
    max_rate: float | None = Field(default=None, ge=0, le=1)
    by: str | None = None
    max_count: int | None = Field(default=None, ge=0)
    problem: str = "problem"
    correct: str | None = None
    count: int = Field(default=1, ge=1)
    on_error: Literal["keep", "drop", "fail"] = "keep"

    @model_validator(mode="after")
    def _has_what_its_policy_needs(self) -> "SelectionConfig":
        if self.policy == "branch_rate" and (self.keep is None) == (self.max_rate is None):
            raise ValueError("policy branch_rate needs either keep, such as 0.9, or max_rate, such as 0.12")
        if self.policy == "branch_count" and self.max_count is None:
            raise ValueError("policy branch_count needs max_count, such as 5")
        return self


class SftConfig(Settings):
    """Everything that decides what a fine-tuning run makes.

    Parameters
    ----------
    model
        A causal language model with a chat template: a folder, or a name on the Hugging Face hub.
    data
        Files, folders or patterns of rows: `messages`; or `prompt` and `completion`; or a problem, a trace
        and an answer.
    selection
        Which rows to train on.
    order
        `shuffled`; `length_grouped`, shuffled into batches of rows of like length, which pads less; or a
        curriculum by branch rate.
    weight_strength
        Above 0, rows are drawn more rarely the more they branch, instead of each once an epoch; see
        `branch_rate_weights`.
    max_length
        Most tokens of a row, prompt and completion together.
    too_long
        What becomes of a longer row: `drop`, `truncate`, or `fail`.
    completion
        What the model learns to write where a row has a trace and an answer, with these as placeholders.
    endpoint
        The address of a running service to score with; the embedded model by default.
    scorer_threads
        Threads of the embedded model; all cores by default.
    lora
        Settings of `peft.LoraConfig`, to train a low-rank adapter; the whole model is trained by default.
    trainer
        Settings of `trl.SFTConfig`, such as `learning_rate`.
    """

    model: str
    data: tuple[str, ...] = Field(min_length=1)
    selection: SelectionConfig = SelectionConfig(policy="branch_rate", keep=0.9)
    order: Literal["shuffled", "length_grouped", "least_branching_first", "most_branching_first"] = "shuffled"
    weight_strength: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    max_length: int = Field(default=16_384, ge=1)
    too_long: Literal["drop", "truncate", "fail"] = "drop"
    completion: str = "<think>\n{trace}\n</think>\n\n{answer}"
    endpoint: str | None = None
    scorer_threads: int | None = Field(default=None, ge=1)
    lora: dict[str, Any] | None = None
    trainer: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _weights_and_order_exclude_each_other(self) -> "SftConfig":
        if self.weight_strength and self.order != "shuffled":
            raise ValueError("rows are either put in an order or drawn by weight: leave one out")
        if "{trace}" not in self.completion:
            raise ValueError("completion has no {trace}: the model would not learn from the traces")
        return self

    @property
    def needs_scores(self) -> bool:
        """Return whether branch rates decide anything."""
        return self.selection.policy != "all" or self.is_curriculum or self.weight_strength > 0

    @property
    def is_curriculum(self) -> bool:
        """Return whether the rows go in the order of their branch rates."""
        return self.order in ("least_branching_first", "most_branching_first")

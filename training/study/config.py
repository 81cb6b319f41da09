"""The settings of `branching study`."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from classifier.errors import OptionError
from training.settings import Settings, load_settings
from training.sft_config import SftConfig
from training.study.base_model import BaseModelConfig
from training.study.world import WorldConfig

ArmName = Literal[
    "divergent", "convergent", "branch_rate", "three_words", "length", "random", "convergent_random"
]


class EvaluationConfig(Settings):
    """How tuned models are tested.

    Parameters
    ----------
    max_new_tokens, batch_size
        Most tokens of a response, and responses that are generated at a time.
    samples, temperature, top_p
        Sampled responses a problem beside the greedy one, and how they are sampled; 0 leaves them out.
    loss_rows
        How many rows, of the arm and of each source kept out, the loss is measured on.
    scored_responses
        How many greedy responses of each benchmark get a branch rate.
    engine
        `vllm`, `transformers`, or `auto`: vLLM where it is installed and there is a GPU.
    """

    max_new_tokens: int = Field(default=512, ge=1)
    batch_size: int = Field(default=64, ge=1)
    samples: int = Field(default=4, ge=0)
    temperature: float = Field(default=0.6, gt=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    loss_rows: int = Field(default=100, ge=1)
    scored_responses: int = Field(default=100, ge=1)
    engine: Literal["auto", "transformers", "vllm"] = "auto"


class ComparisonConfig(Settings):
    """The planned tests.

    Parameters
    ----------
    pairs
        Arms to compare: first minus second, on the same problems with the same seeds.
    resamples
        Resamples of problems and seeds for intervals, and permutations of a test.
    level
        The family-wise level at which a difference counts, after Holm's correction over all pairs.
    seed
        Seed of the draws.
    """

    pairs: tuple[tuple[str, str], ...]
    resamples: int = Field(default=10_000, ge=100)
    level: float = Field(default=0.05, gt=0, lt=1)
    seed: int = 0


class StudyConfig(Settings):
    """Everything that decides a study.

    Parameters
    ----------
    world, base
        The small world and the base model that is pre-trained for it; or else:
    sources, benchmarks, model
        Files of traces on the same problems, by `divergent` and `convergent`; benchmark files by name; and
        a causal language model.
    arms
        Which arms to run.
    keep
        The fraction that the filters keep; every filter drops the same number.
    sweep
        Further fractions for the arm that is filtered by branch rate.
    seeds
        Seeds of the training order and of what is dropped at random.
    sweep_seeds
        Those of the seeds that the further fractions run with; all by default.
    order, max_length, too_long, completion, lora, trainer
        As in `SftConfig`, the same for all arms. A problem with a row that is too long is dropped from both
        sources.
    evaluation, comparisons
        How models are tested, and which arms are compared.
    """

    world: WorldConfig | None = None
    base: BaseModelConfig | None = None
    sources: dict[Literal["divergent", "convergent"], tuple[str, ...]] | None = None
    benchmarks: dict[str, str] | None = None
    model: str | None = None
    arms: tuple[ArmName, ...] = Field(min_length=1)
    keep: float = Field(default=0.9, gt=0, lt=1)
    sweep: tuple[float, ...] = ()
    seeds: tuple[int, ...] = Field(min_length=1)
    sweep_seeds: tuple[int, ...] | None = Field(default=None, min_length=1)
    order: Literal["shuffled", "length_grouped"] = "shuffled"
    max_length: int = Field(ge=1)
    too_long: Literal["drop", "truncate", "fail"] = "drop"
    completion: str = SftConfig.model_fields["completion"].default
    lora: dict[str, Any] | None = None
    trainer: dict[str, Any] = Field(default_factory=dict)
    evaluation: EvaluationConfig = EvaluationConfig()
    comparisons: ComparisonConfig

    @model_validator(mode="after")
    def _fits_together(self) -> "StudyConfig":
        generated = (self.world, self.base)
        given = (self.sources, self.benchmarks, self.model)
        if not (None not in generated and given == (None,) * 3) and not (
            None not in given and generated == (None,) * 2
        ):
            raise ValueError("give either world and base, or sources, benchmarks and model")
        if self.sources is not None and set(self.sources) != {"divergent", "convergent"}:
            raise ValueError("sources needs both divergent and convergent")
        for name in ("seed", "data_seed"):
            if name in self.trainer:
                raise ValueError(f"trainer.{name} comes from seeds")
        if not set(self.sweep_seeds or ()) <= set(self.seeds):
            raise ValueError("sweep_seeds must be some of seeds")
        known = {arm.name for arm in self.planned_arms()}
        for pair in self.comparisons.pairs:
            for name in pair:
                if name not in known:
                    raise ValueError(f"comparisons.pairs names {name!r}; the arms are {', '.join(known)}")
        return self

    def planned_arms(self) -> "list[Arm]":
        """Return the arms and those of the sweep."""
        arms = [Arm(name=name, kind=name, keep=self.keep) for name in self.arms]
        return [
            *arms,
            *(Arm(name=f"branch_rate_{keep:g}", kind="branch_rate", keep=keep) for keep in self.sweep),
        ]

    def seeds_of(self, arm: "Arm") -> tuple[int, ...]:
        """Return the seeds that an arm runs with."""
        return self.seeds if arm.name == arm.kind else self.sweep_seeds or self.seeds

    def sft_config(self, model: str, data: Path, seed: int) -> SftConfig:
        """Return the settings of one run: the same for all arms but for the data."""
        return SftConfig.model_validate(
            {
                "model": model,
                "data": (str(data),),
                "selection": {"policy": "all"},
                "order": self.order,
                "max_length": self.max_length,
                "too_long": "fail" if self.too_long == "drop" else self.too_long,
                "completion": self.completion,
                "lora": self.lora,
                "trainer": {**self.trainer, "seed": seed, "data_seed": seed},
            }
        )


class Arm(Settings):
    """One arm of the study.

    Parameters
    ----------
    name
        What it is called.
    kind
        How its rows are chosen.
    keep
        The fraction that a filter keeps.
    """

    name: str
    kind: ArmName
    keep: float

    @property
    def source(self) -> str:
        """Return the source that its rows come from."""
        return "convergent" if self.kind.startswith("convergent") else "divergent"


BUILT_IN: Final = ("small", "tiny", "published")
"""Settings that come with the package."""


def load_study_config(name: str, overrides: Sequence[str] = ()) -> StudyConfig:
    """Load the settings of a study.

    Parameters
    ----------
    name
        One of `BUILT_IN`, or a JSON file.
    overrides
        `NAME=VALUE`; see `load_settings`.

    Raises
    ------
    OptionError
        If there is no such file, or a setting cannot be used.
    """
    path = Path(name)
    if name in BUILT_IN:
        path = Path(str(files("training.study").joinpath(f"{name}.json")))
    elif not path.is_file():
        raise OptionError(f"--config {name}: there is no such file; built in are {', '.join(BUILT_IN)}")
    return load_settings(StudyConfig, path, overrides)

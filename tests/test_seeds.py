"""Figures of recipes over their training seeds."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from classifier.errors import OptionError
from tests.toy_gold import DOCUMENTS
from training.seeds import SHOWN, load_recipes, seed_figures


class Guesser:
    """Says of every step of a trace that it branches the likelier the later it comes, give or take."""

    def __init__(self, seed: int, noise: float) -> None:
        self._random = np.random.default_rng(seed)
        self._noise = noise

    def score_steps_kinds(self, trace: str, spans: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32]:
        late = np.array([start / len(trace) for start, _ in spans])
        branch = np.clip(late + self._noise * self._random.normal(size=len(spans)), 0.01, 0.99)
        return np.stack([1 - branch, branch, branch * 0, branch * 0], axis=1).astype(np.float32)


def test_seeds_are_pooled_and_recipes_compared() -> None:
    recipes = {
        "calm": {f"calm-{seed}": (Guesser(seed, 0.0), 0.5) for seed in range(3)},
        "noisy": {f"noisy-{seed}": (Guesser(seed, 2.0), 0.5) for seed in range(3)},
    }
    found = seed_figures(recipes, DOCUMENTS, resamples=200)
    assert list(found) == ["calm", "noisy"]
    assert "behind" not in found["calm"]
    for figure in SHOWN:
        for name in recipes:
            values = [of_model[figure] for of_model in found[name]["models"].values()]
            assert len(values) == 3
            assert found[name]["pooled"][figure]["value"] == pytest.approx(np.mean(values), nan_ok=True)
        expected = found["calm"]["pooled"][figure]["value"] - found["noisy"]["pooled"][figure]["value"]
        assert found["noisy"]["behind"][figure]["value"] == pytest.approx(expected)
    figure = "average_precision"
    assert len({of_model[figure] for of_model in found["calm"]["models"].values()}) == 1
    assert len({of_model[figure] for of_model in found["noisy"]["models"].values()}) == 3
    pooled = found["noisy"]["pooled"][figure]
    assert pooled["low"] < pooled["value"] < pooled["high"]


@pytest.mark.parametrize("given", [["fast"], ["fast="], ["=fast"], ["a=fast", "a=fast"], ["a=,"]])
def test_recipes_that_are_written_otherwise(given: list[str]) -> None:
    with pytest.raises(OptionError, match=r"expected NAME=MODEL,MODEL"):
        load_recipes(given)


def test_embedded_models_have_names() -> None:
    (recipe,) = load_recipes(["both=default,fast"]).values()
    assert list(recipe) == ["default", "fast"]
    assert all(0 < threshold < 1 for _, threshold in recipe.values())

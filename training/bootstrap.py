"""Confidence intervals by resampling whole documents: steps of one trace are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CONFIDENCE: Final = 0.95
"""Share of the resamples that an interval spans."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A figure, the ends of its interval (NaN where undefined) and its values on the resamples."""

    value: float
    low: float
    high: float
    samples: FloatArray = field(repr=False)

    @classmethod
    def from_samples(cls, value: float, samples: FloatArray) -> Self:
        """Take the percentile interval of the resamples on which the figure is defined.

        Parameters
        ----------
        value
            The figure on all documents.
        samples
            The figure on each resample, NaN where it is undefined there.

        Returns
        -------
        Estimate
            With NaN as the interval's ends where the figure, or every resample of it, is undefined.
        """
        defined = samples[np.isfinite(samples)]
        if not np.isfinite(value) or defined.size == 0:
            return cls(float(value), float("nan"), float("nan"), samples)
        low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return cls(float(value), float(low), float(high), samples)

    def minus(self, other: "Estimate") -> "Estimate":
        """Return the paired difference: both figures on the same resamples, one subtracted from the other.

        Parameters
        ----------
        other
            An estimate from the same documents and the same resamples.
        """
        return Estimate.from_samples(self.value - other.value, self.samples - other.samples)

    def as_dict(self) -> dict[str, float | None]:
        """Return value, low and high for JSON, null where undefined."""
        return {
            name: number if np.isfinite(number) else None
            for name, number in (("value", self.value), ("low", self.low), ("high", self.high))
        }


def document_weights(documents: int, resamples: int, seed: int) -> FloatArray:
    """Draw how often each document occurs in each resample.

    Parameters
    ----------
    documents
        Number of documents; a resample has as many, drawn with replacement.
    resamples
        Number of resamples. One document alone cannot be resampled: then there are none.
    seed
        Seed of the draw; the same seed and number of documents give the same resamples.

    Returns
    -------
    array, float64, [1 + resamples, documents]
        The first row is all ones: the documents as they are.
    """
    everything = np.ones((1, documents))
    if documents < 2:
        return everything
    draws = np.random.default_rng(seed).multinomial(documents, np.full(documents, 1 / documents), resamples)
    return np.concatenate([everything, draws.astype(np.float64)])


def pool_seeds(estimates: Sequence[Estimate], seed: int = 0) -> Estimate:
    """Join one figure of several training seeds: the interval spans documents and seeds.

    Parameters
    ----------
    estimates
        The same figure of models that differ only by their training seed, from the same documents and
        resamples.
    seed
        Seed of the draw that picks a training seed for each resample.

    Returns
    -------
    Estimate
        The seeds' mean, with the interval in which the figure of one further training run on other
        documents of the kind is to be expected.
    """
    samples = np.stack([estimate.samples for estimate in estimates])
    resamples = samples.shape[1]
    chosen = np.random.default_rng(seed).integers(len(estimates), size=resamples)
    mean = float(np.mean([estimate.value for estimate in estimates]))
    return Estimate.from_samples(mean, samples[chosen, np.arange(resamples)])

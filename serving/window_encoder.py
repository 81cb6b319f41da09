"""What the encoder service does with a batch: group the windows by length, spread them over the threads."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.debug_encoder import DebugEncoder
from classifier.encoder import PROVIDERS, OnnxEncoder, StepEncoder
from classifier.errors import ProviderError
from classifier.model_folder import read_model_folder
from classifier.windows import Window, WindowLayout
from serving.settings import Settings, available_cores
from serving.window_text import probabilities_to_text, window_from_text

FloatArray = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)

FAILED = ""
"""What stands in the place of the probabilities of a window that could not be run."""


class WindowEncoder:
    """Runs batches of windows of any length, each batch's parts side by side.

    Parameters
    ----------
    encoder
        Runs windows of one length.
    threads
        How many calls of `encoder` run side by side.
    """

    def __init__(self, encoder: StepEncoder, threads: int) -> None:
        self._encoder = encoder
        self._threads = threads

    @classmethod
    def open(cls, settings: Settings) -> "WindowEncoder":
        """Load the model that settings name, on the device that they name, and run each window length once.

        Raises
        ------
        ModelError
            If the model cannot be used; ProviderError if the device is not there.
        """
        folder = read_model_folder(settings.model, settings.precision)
        if settings.encoder == "debug":
            return cls(SlowDebugEncoder(settings.debug_delay), threads=1)
        if settings.resolved_device != "cpu":
            _load_cuda_libraries()
        encoder = OnnxEncoder(
            folder.model_file,
            folder.layout.max_steps,
            providers=None if settings.device == "auto" else [settings.device],
            threads=settings.threads or available_cores(),
            batch_size=settings.batch_size,
        )
        for window in _one_of_each_length(folder.layout):
            encoder.submit([window]).result()
        return cls(encoder, encoder.threads)

    def describe(self) -> dict[str, Any]:
        """Return what the encoder runs on, as JSON can hold it."""
        return {
            "providers": list(getattr(self._encoder, "providers", ())),
            "threads": self._threads,
            "batch_size": self._encoder.batch_size,
        }

    async def encode(self, texts: Sequence[str]) -> list[str]:
        """Run windows; one that cannot be run leaves the others alone.

        Parameters
        ----------
        texts
            Windows as `serving.window_text.window_to_text` writes them.

        Returns
        -------
        list of str
            For each window, in order, its probabilities as text, or `FAILED`.
        """
        results = [FAILED] * len(texts)
        windows: dict[int, Window] = {}
        by_length: dict[int, list[int]] = defaultdict(list)
        for place, text in enumerate(texts):
            try:
                windows[place] = window_from_text(text)
            except ValueError:
                logger.exception("A window could not be read")
                continue
            by_length[len(windows[place].tokens)].append(place)
        running: list[tuple[list[int], Future[list[FloatArray]]]] = []
        for _, places in sorted(by_length.items(), reverse=True):
            size = min(self._encoder.batch_size, ceil(len(places) / self._threads))
            for start in range(0, len(places), size):
                part = places[start : start + size]
                running.append((part, self._encoder.submit([windows[place] for place in part])))
        outcomes = await asyncio.gather(
            *(asyncio.wrap_future(future) for _, future in running), return_exceptions=True
        )
        for (part, _), outcome in zip(running, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                logger.error("%d windows could not be run", len(part), exc_info=outcome)
                continue
            for place, probabilities in zip(part, outcome, strict=True):
                results[place] = probabilities_to_text(probabilities)
        return results


def check_encoder(settings: Settings) -> None:
    """Check that the model can be used and the device is there, without loading anything.

    Raises
    ------
    ModelError
        If the model cannot be used; ProviderError if the device is not there.
    """
    import onnxruntime

    read_model_folder(settings.model, settings.precision)
    if settings.device == "auto" or settings.encoder == "debug":
        return
    available = onnxruntime.get_available_providers()
    if PROVIDERS[settings.device] not in available:
        raise ProviderError(
            f"{settings.device} was asked for, but this ONNX Runtime has only {', '.join(available)}. "
            "For an NVIDIA GPU: pip uninstall -y onnxruntime && pip install 'branching-classifier[gpu]'; "
            "or ask for cpu"
        )


def device_of(providers: Sequence[str]) -> str | None:
    """Return the device of ONNX Runtime's first provider, or None if it is none that can be asked for.

    Parameters
    ----------
    providers
        Of a session, the one that does most first.
    """
    names = {provider: name for name, provider in PROVIDERS.items()}
    return names.get(providers[0]) if providers else None


class SlowDebugEncoder(DebugEncoder):
    """A debug encoder that takes its time, so that tests can fill the queue.

    Parameters
    ----------
    delay
        Seconds that each call takes.
    """

    def __init__(self, delay: float) -> None:
        super().__init__()
        self._delay = delay
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="debug-encoder")

    def submit(self, windows: Sequence[Window]) -> "Future[list[FloatArray]]":
        """Compute after the delay; see `classifier.encoder.StepEncoder`."""
        return self._pool.submit(self._run, windows)

    def _run(self, windows: Sequence[Window]) -> list[FloatArray]:
        time.sleep(self._delay)
        return super().submit(windows).result()


def _load_cuda_libraries() -> None:
    """Load the CUDA libraries that pip has installed; those of the system are found without."""
    import onnxruntime

    load = getattr(onnxruntime, "preload_dlls", None)  # since ONNX Runtime 1.21
    if load is not None:
        load()


def _one_of_each_length(layout: WindowLayout) -> list[Window]:
    steps = np.array([1])
    windows = []
    for length in layout.lengths:
        tokens = np.full(length, layout.pad_id)
        tokens[:2] = layout.start_id, layout.marker_id
        windows.append(Window(tokens=tokens, starts=steps, ends=steps + 1, first_step=0))
    return windows

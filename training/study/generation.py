"""Responses of a tuned model, many at a time."""

import gc
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from training.study.config import EvaluationConfig

FIRST_STRETCH: Final = 64
"""Tokens after which responses that have ended leave their batch; the next stretch is twice as long."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response.

    Parameters
    ----------
    text
        What the model wrote.
    tokens
        How many tokens that are.
    finished
        Whether it came to an end by itself.
    """

    text: str
    tokens: int
    finished: bool


class Generator(Protocol):
    """What writes responses."""

    def respond(self, problems: Sequence[str], *, samples: int, seed: int) -> list[list[Response]]:
        """Write responses: one greedy for no samples, else as many samples a problem."""


def open_generator(folder: Path, config: EvaluationConfig) -> Generator:
    """Open the fastest engine there is, or the one asked for."""
    vllm = importlib.util.find_spec("vllm") is not None and torch.cuda.is_available()
    if config.engine == "vllm" or (config.engine == "auto" and vllm):
        return VllmGenerator(folder, config)
    return TransformersGenerator(folder, config)


class TransformersGenerator:
    """Generates with transformers, in batches of prompts of like length.

    Parameters
    ----------
    folder
        The model folder.
    config
        How to generate.
    """

    def __init__(self, folder: Path, config: EvaluationConfig) -> None:
        self.config = config
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = load_model(folder)

    def respond(self, problems: Sequence[str], *, samples: int, seed: int) -> list[list[Response]]:
        """Write responses.

        Parameters
        ----------
        problems
            The problems.
        samples
            How many to sample for each; 0 for the greedy one.
        seed
            Seed of the sampling.

        Returns
        -------
        list of list of Response
            Those of each problem, in order.
        """
        torch.manual_seed(seed)
        prompts = chat_prompts(self.tokenizer, problems)
        copies = max(1, samples)
        order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
        responses: list[list[Response]] = [[] for _ in prompts]
        size = max(1, self.config.batch_size // copies)
        for start in range(0, len(order), size):
            numbers = order[start : start + size]
            written = self._generate([prompts[number] for number in numbers], copies, samples > 0)
            for index, number in enumerate(numbers):
                responses[number] = written[index * copies : (index + 1) * copies]
        return responses

    def _generate(self, prompts: list[str], copies: int, sampled: bool) -> list[Response]:
        """Write in stretches that double, leaving out after each the responses that have come to an end."""
        sampling: dict[str, Any] = (
            {"do_sample": True, "temperature": self.config.temperature, "top_p": self.config.top_p}
            if sampled
            else {"do_sample": False}
        )
        end = self.tokenizer.eos_token_id
        encoded = self.tokenizer(prompts, add_special_tokens=False)["input_ids"]
        texts = [list(ids) for ids in encoded for _ in range(copies)]
        begins = [len(ids) for ids in texts]
        unfinished = list(range(len(texts)))
        left, stretch = self.config.max_new_tokens, FIRST_STRETCH
        while unfinished and left > 0:
            new = min(stretch, left)
            inputs = self.tokenizer.pad(
                {"input_ids": [texts[index] for index in unfinished]}, return_tensors="pt"
            ).to(self.model.device)
            with torch.inference_mode():
                output = self.model.generate(
                    input_ids=inputs["input_ids"],
                    attention_mask=inputs["attention_mask"],
                    **sampling,
                    max_new_tokens=new,
                    pad_token_id=self.tokenizer.pad_token_id,
                    eos_token_id=end,
                )
            for index, ids in zip(
                unfinished, output[:, inputs["input_ids"].shape[1] :].tolist(), strict=True
            ):
                texts[index] += ids[: ids.index(end) + 1] if end in ids else ids
            unfinished = [index for index in unfinished if texts[index][-1] != end]
            left, stretch = left - new, stretch * 2
        return [self._response(ids[begin:]) for ids, begin in zip(texts, begins, strict=True)]

    def _response(self, ids: list[int]) -> Response:
        finished = bool(ids) and ids[-1] == self.tokenizer.eos_token_id
        written = ids[:-1] if finished else ids
        return Response(str(self.tokenizer.decode(written, skip_special_tokens=True)), len(written), finished)


class VllmGenerator:
    """Generates with vLLM.

    Parameters
    ----------
    folder
        The model folder.
    config
        How to generate.
    """

    def __init__(self, folder: Path, config: EvaluationConfig) -> None:
        import vllm

        # vLLM takes most of the GPU, and stops where training has left memory reserved.
        gc.collect()
        torch.cuda.empty_cache()
        self.config = config
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self._vllm: Any = vllm
        self._engine = vllm.LLM(str(folder))

    def respond(self, problems: Sequence[str], *, samples: int, seed: int) -> list[list[Response]]:
        """Write responses; see `TransformersGenerator.respond`."""
        parameters = self._vllm.SamplingParams(
            n=max(1, samples),
            temperature=self.config.temperature if samples else 0.0,
            top_p=self.config.top_p if samples else 1.0,
            max_tokens=self.config.max_new_tokens,
            seed=seed,
        )
        outputs = self._engine.generate(chat_prompts(self.tokenizer, problems), parameters)
        return [
            [Response(one.text, len(one.token_ids), one.finish_reason == "stop") for one in output.outputs]
            for output in outputs
        ]


def chat_prompts(tokenizer: PreTrainedTokenizerBase, problems: Sequence[str]) -> list[str]:
    """Return problems as prompts in the model's chat template."""
    return [
        str(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": problem}], tokenize=False, add_generation_prompt=True
            )
        )
        for problem in problems
    ]


def load_model(folder: Path) -> Any:
    """Load a tuned model, or an adapter with its base, for inference."""
    if (folder / "adapter_config.json").is_file():
        from peft import AutoPeftModelForCausalLM

        model: Any = AutoPeftModelForCausalLM.from_pretrained(folder)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

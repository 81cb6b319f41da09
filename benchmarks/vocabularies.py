"""Sizes of the vocabulary: how many tokens traces take with each, and what its embeddings weigh.

Run: python -m benchmarks.vocabularies [--traces 60]
Writes benchmarks/results/vocabularies.json. The tokens of each size are chosen on other traces.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from benchmarks.compare import RESULTS
from benchmarks.processes import describe_machine
from benchmarks.sample import load_sample
from training.model import minilm_path
from training.vocabulary import count_tokens, cut_vocabulary

_SIZES = (4_000, 6_000, 8_192, 9_500, 12_000, 16_000)
_CHOSEN_ON = 1_000
_WIDTHS = (384, 192)


def main() -> None:
    """Measure all sizes and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=60)
    parser.add_argument("--output", type=Path, default=RESULTS / "vocabularies.json")
    options = parser.parse_args()
    texts = load_sample(options.traces + _CHOSEN_ON).traces
    measured, others = texts[: options.traces], texts[options.traces :]
    whole: Tokenizer = AutoTokenizer.from_pretrained(minilm_path()).backend_tokenizer
    whole.no_truncation()
    whole.no_padding()
    counts = count_tokens(whole, others)
    tokenizers = [cut_vocabulary(whole, counts, size)[0] for size in _SIZES]
    results = {
        "machine": describe_machine(),
        "chosen_on": len(others),
        "sizes": [measure(tokenizer, measured) for tokenizer in (*tokenizers, whole)],
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def measure(tokenizer: Tokenizer, texts: list[str]) -> dict[str, Any]:
    """Return a vocabulary's size, characters a token, share of unknown tokens and megabytes of embeddings.

    Parameters
    ----------
    tokenizer
        Has the vocabulary.
    texts
        What is tokenised.
    """
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    ids = [token for encoding in encodings for token in encoding.ids]
    unknown = tokenizer.token_to_id("[UNK]")
    size = tokenizer.get_vocab_size()
    return {
        "tokens": size,
        "characters_a_token": sum(map(len, texts)) / len(ids),
        "unknown_share": 0.0 if unknown is None else ids.count(unknown) / len(ids),
        # Stored in float16.
        "megabytes": {str(width): size * width * 2 / 1e6 for width in _WIDTHS},
    }


if __name__ == "__main__":
    main()

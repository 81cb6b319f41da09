"""Cuts a WordPiece vocabulary to what traces use, and the embeddings with it."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer

from classifier.errors import OptionError

_KEPT_CHARACTERS = ((0x0, 0x250), (0x370, 0x400), (0x2000, 0x2C00))
"""Latin; Greek; punctuation, arrows, mathematical operators and other symbols."""

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def count_tokens(tokenizer: Tokenizer, texts: Iterable[str], batch_size: int = 64) -> Counter[str]:
    """Count in how many texts each token occurs.

    Parameters
    ----------
    tokenizer
        The tokenizer with its whole vocabulary.
    texts
        The traces.
    batch_size
        How many texts are tokenised at a time.

    Returns
    -------
    Counter
        Token to number of texts.
    """
    counts: Counter[int] = Counter()
    batch: list[str] = []

    def flush() -> None:
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            counts.update(set(encoding.ids))
        batch.clear()

    for text in texts:
        batch.append(text)
        if len(batch) >= batch_size:
            flush()
    flush()
    names = {token: name for name, token in tokenizer.get_vocab().items()}
    return Counter({names[token]: count for token, count in counts.items()})


def cut_vocabulary(tokenizer: Tokenizer, counts: Counter[str], size: int) -> tuple[Tokenizer, list[int]]:
    """Cut a WordPiece tokenizer to a number of tokens.

    Special tokens and single characters of Latin script, Greek script, punctuation and mathematics stay, so
    that any such word can still be spelled, while a text in another script turns into unknown tokens, which
    the scorer's language guard sees; then the tokens that the most texts use; then the first ones of the old
    vocabulary, which BERT ordered by how common they are.

    Parameters
    ----------
    tokenizer
        A WordPiece tokenizer with the special tokens of BERT.
    counts
        In how many texts each token occurs.
    size
        How many tokens to keep.

    Returns
    -------
    tokenizer, old_ids
        The cut tokenizer, without truncation, padding or special tokens of its own, and for each new id the
        old one.

    Raises
    ------
    OptionError
        If the tokenizer is not a WordPiece tokenizer.
    """
    settings = json.loads(tokenizer.to_str())
    if settings["model"]["type"] != "WordPiece":
        raise OptionError(
            f"vocabulary_size={size}: only a WordPiece vocabulary can be cut, and this is "
            f"{settings['model']['type']}; set vocabulary_size to 0 to keep it whole"
        )
    old: dict[str, int] = settings["model"]["vocab"]
    in_old_order = sorted(old, key=old.__getitem__)
    kept = list(SPECIAL_TOKENS)
    seen = set(kept)

    def keep(tokens: Iterable[str]) -> None:
        for token in tokens:
            if len(kept) >= size:
                return
            if token not in seen:
                seen.add(token)
                kept.append(token)

    keep(token for token in in_old_order if _is_character(token))
    readable = [token for token in in_old_order if not token.startswith("[unused") and _is_readable(token)]
    keep(sorted((token for token in readable if counts[token] >= 3), key=lambda token: -counts[token]))
    keep(readable)
    settings["model"]["vocab"] = {token: index for index, token in enumerate(kept)}
    settings["added_tokens"] = [
        {**token, "id": kept.index(token["content"])}
        for token in settings["added_tokens"]
        if token["content"] in SPECIAL_TOKENS
    ]
    settings["post_processor"] = None
    settings["truncation"] = None
    settings["padding"] = None
    return Tokenizer.from_str(json.dumps(settings)), [old[token] for token in kept]


def _is_character(token: str) -> bool:
    character = token.removeprefix("##")
    return len(character) == 1 and any(low <= ord(character) < high for low, high in _KEPT_CHARACTERS)


def _is_readable(token: str) -> bool:
    return all(_is_character(character) for character in token.removeprefix("##"))


def token_ids(tokenizer: Tokenizer, names: Sequence[str]) -> list[int]:
    """Return the ids of tokens that must exist.

    Raises
    ------
    OptionError
        If the tokenizer lacks one of them.
    """
    ids = []
    for name in names:
        token = tokenizer.token_to_id(name)
        if token is None:
            raise OptionError(
                f"the tokenizer lacks the token {name!r}; give an encoder whose tokenizer has tokens for "
                "padding, start and end spelled as BERT's or RoBERTa's"
            )
        ids.append(token)
    return ids

"""A cut vocabulary keeps what the texts use, and single characters of the scripts it reads."""

from collections import Counter

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer

from training.vocabulary import SPECIAL_TOKENS, count_tokens, cut_vocabulary, token_ids

WORDS = ("[unused0]", "a", "b", "##a", "##b", "я", "##я", "∑", "中", "cab", "ab", "##ab", "##abb", "ba")


@pytest.fixture
def tokenizer() -> Tokenizer:
    vocabulary = {token: index for index, token in enumerate([*WORDS[:1], *SPECIAL_TOKENS, *WORDS[1:]])}
    whole = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    whole.pre_tokenizer = BertPreTokenizer()
    whole.enable_truncation(4)
    whole.enable_padding()
    return whole


def test_counts_are_of_texts(tokenizer: Tokenizer) -> None:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    counts = count_tokens(tokenizer, ["ab ab ba", "ba"], batch_size=1)
    assert counts == Counter({"ba": 2, "ab": 1})


def test_cut_keeps_characters_then_the_most_used(tokenizer: Tokenizer) -> None:
    cut, old_ids = cut_vocabulary(tokenizer, Counter({"ba": 9, "cab": 5, "ab": 2}), size=12)
    assert cut.get_vocab_size() == 12
    kept = [cut.id_to_token(index) for index in range(12)]
    assert kept[:5] == list(SPECIAL_TOKENS)
    assert set(kept[5:10]) == {"a", "b", "##a", "##b", "∑"}
    assert kept[10:] == ["ba", "cab"]
    assert [tokenizer.id_to_token(old) for old in old_ids] == kept


def test_cut_tokenizer_spells_what_it_lost_and_has_no_limits(tokenizer: Tokenizer) -> None:
    cut, _ = cut_vocabulary(tokenizer, Counter(), size=10)
    assert cut.encode("abab aba").tokens == ["a", "##b", "##a", "##b", "a", "##b", "##a"]
    assert cut.encode("я 中").tokens == ["[UNK]", "[UNK]"]


def test_only_wordpiece_can_be_cut() -> None:
    with pytest.raises(ValueError, match="only a WordPiece vocabulary"):
        cut_vocabulary(Tokenizer(BPE()), Counter(), 10)


def test_missing_token_is_named(tokenizer: Tokenizer) -> None:
    assert token_ids(tokenizer, ["[PAD]"]) == [1]
    with pytest.raises(ValueError, match=r"'\[NONE\]'"):
        token_ids(tokenizer, ["[NONE]"])

"""Lone surrogates: halves of a character, which JSON can hold and UTF-8 cannot."""

import re
from typing import Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """Replace each lone surrogate by one replacement character, so that all offsets stay true.

    Parameters
    ----------
    text
        Any text.
    """
    return text if text.isascii() else _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)

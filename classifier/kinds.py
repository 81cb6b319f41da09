"""The four kinds of a step, in the order of the model's outputs."""

from typing import Final

KINDS: Final = ("convergent", "alternative", "backtrack", "restart")
"""Names of the kinds; a step branches when its kind is any but the first."""

BRANCH_KINDS: Final = KINDS[1:]
"""The kinds that branch."""

KIND_CODES: Final = {"C": "convergent", "A": "alternative", "B": "backtrack", "R": "restart"}
"""One-letter codes, as labelled data write them, and the names they stand for."""

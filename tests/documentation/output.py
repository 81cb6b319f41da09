"""Whether a block of output is what the commands printed."""

import re


def is_output(shown: str, printed: str) -> bool:
    """Tell whether lines stand in an output, one after the other.

    Parameters
    ----------
    shown
        The lines of a page. A line `...` stands for any lines, and `...` within a line for any text.
    printed
        What the page's commands have printed.
    """
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else _line_pattern(line) for line in shown.splitlines()
    )
    lines = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    return re.search(f"^{pattern}", lines, re.MULTILINE) is not None


def _line_pattern(line: str) -> str:
    return ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n"

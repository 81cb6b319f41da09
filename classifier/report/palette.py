"""The colours of kinds and rates, in one place for the report, the page of the service and the terminal.

Hues are those of Okabe and Ito ("Color Universal Design", 2008), which people with any colour vision can tell
apart. Colour is never the only sign: every step that branches also carries its kind in words.
"""

from typing import Final, NamedTuple


class Shades(NamedTuple):
    """One colour on a light and on a dark ground, as #rrggbb."""

    light: str
    dark: str


KIND_SHADES: Final = {
    "convergent": Shades("#6b7280", "#9aa2ad"),
    "alternative": Shades("#0072b2", "#56b4e9"),
    "backtrack": Shades("#d55e00", "#e69f00"),
    "restart": Shades("#cc79a7", "#cc79a7"),
}
"""The colour of each kind; a step is tinted with it, the more the likelier it branches."""

GROUND_SHADES: Final = {
    "ground": Shades("#ffffff", "#14171c"),
    "panel": Shades("#f5f6f8", "#1d2128"),
    "text": Shades("#1b1f24", "#e6e8eb"),
    "muted": Shades("#565d67", "#a5acb6"),
    "line": Shades("#d4d8de", "#3a414c"),
    "accent": Shades("#009e73", "#2fbf93"),
}
"""The colours of everything else; the accent marks what is kept."""

KIND_STYLES: Final = {
    "convergent": "",
    "alternative": "bold blue",
    "backtrack": "bold red",
    "restart": "bold magenta",
}
"""The style of each kind in a terminal, whose own theme decides the shades."""

STRONGEST_TINT: Final = 0.5
"""How opaque the colour behind a step is when its probability is 1; more would hide the text on it."""


def css_variables() -> str:
    """Return CSS that defines every colour as a variable, such as `--kind-backtrack`, light and dark."""
    names = {f"kind-{kind}": shades for kind, shades in KIND_SHADES.items()} | GROUND_SHADES
    light = "".join(f"--{name}:{shades.light};" for name, shades in names.items())
    dark = "".join(f"--{name}:{shades.dark};" for name, shades in names.items())
    return (
        f":root{{color-scheme:light dark;--strongest-tint:{STRONGEST_TINT:.0%};{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )

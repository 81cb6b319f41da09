"""The domain of each source of labelled documents."""

from typing import Final

DOMAINS: Final = {
    "cpldcpu/MisguidedAttention": "puzzles",
    "uzaymacar/understanding-reasoning-models": "MATH",
    "karthikv792/LLMs-Planning": "planning",
    "agatha-duzan/cot-monitor-stress-test": "code",
    "wgantt/reasoning-models-lie": "MMLU-Pro and molecules",
    "realariharrison/molecular-reasoning-structure": "MMLU-Pro and molecules",
}
"""Domains by source; a source of mixed domain has none."""

"""Labelling functions: small, named rules that each vote for one kind of step, or abstain."""

from typing import Final

from training.heuristics.alternative import ALTERNATIVE_FUNCTIONS
from training.heuristics.backtrack import BACKTRACK_FUNCTIONS
from training.heuristics.continuation import CONTINUATION_FUNCTIONS
from training.heuristics.convergent import CONVERGENT_FUNCTIONS
from training.heuristics.labelling_function import ABSTAIN, LabellingFunction
from training.heuristics.objection import OBJECTION_FUNCTIONS
from training.heuristics.restart import RESTART_FUNCTIONS
from training.heuristics.step_view import StepView, view_steps

LABELLING_FUNCTIONS: Final = (
    *ALTERNATIVE_FUNCTIONS,
    *BACKTRACK_FUNCTIONS,
    *OBJECTION_FUNCTIONS,
    *RESTART_FUNCTIONS,
    *CONVERGENT_FUNCTIONS,
    *CONTINUATION_FUNCTIONS,
)
"""All labelling functions, in the order of the columns of a vote matrix."""

__all__ = ["ABSTAIN", "LABELLING_FUNCTIONS", "LabellingFunction", "StepView", "view_steps"]

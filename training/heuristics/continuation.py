"""Labelling functions for convergent steps that show by their place and by what came before."""

import re
from typing import Final

from training.heuristics.labelling_function import FunctionFamily
from training.heuristics.step_view import StepView

continuation: Final = FunctionFamily("convergent")


@continuation
def opens_the_trace(step: StepView) -> bool:
    """Catch the first four steps, which read and plan; leave all later ones."""
    return step.index < 4


@continuation
def stands_near_the_start(step: StepView) -> bool:
    """Catch steps four to nine without an adversative opener; leave "but" and "wait"."""
    return 4 <= step.index < 10 and not step.opens_with("but", "wait", "no")


@continuation
def gives_the_first_idea(step: StepView) -> bool:
    """Catch the first guess of a trace, hedged or not; leave every later one."""
    return step.proposes and step.past.proposals == 0 and step.past.rejections == 0


@continuation
def writes_code(step: StepView) -> bool:
    """Catch lines inside a fenced code block; leave code without a fence."""
    return step.in_code


@continuation
def continues_a_quotation(step: StepView) -> bool:
    """Catch steps that begin inside an open quotation; leave the step that opens it."""
    return step.in_quote


_FIRST_CHECK: Final = re.compile(r"\b(?:check|verify|confirm|make sure|test)\b")


@continuation
def checks_for_the_first_time(step: StepView) -> bool:
    """Catch an announced check when none was announced before; leave later checks and "again"."""
    return (
        bool(_FIRST_CHECK.search(step.plain))
        and step.past.checks == 0
        and "again" not in step.plain
        and not re.search(r"\bre-", step.plain)
    )


@continuation
def states_plainly(step: StepView) -> bool:
    """Catch statements without opener, hedge, question mark or negation; leave announced checks."""
    return (
        not step.openers
        and not step.proposes
        and not step.is_question
        and not step.negates
        and not step.checks
    )


@continuation
def states_in_a_calm_passage(step: StepView) -> bool:
    """Catch steps without hedge where none of the last eight guessed or rejected; leave "wait" and "but"."""
    return (
        step.past.hedged_lately == 0
        and not step.proposes
        and not step.opens_with("but", "wait", "no")
        and step.index >= 4
    )


@continuation
def belongs_to_a_calm_trace(step: StepView) -> bool:
    """Catch steps of a trace that has guessed or rejected in under a tenth of at least 20 steps.

    Leave the others.
    """
    return step.index >= 20 and (step.past.proposals + step.past.rejections) < step.index * 0.1


@continuation
def carries_out_the_announcement(step: StepView) -> bool:
    """Catch the calm step after an announcement ending in a colon.

    Leave those that open with "but" or "wait".
    """
    before = step.previous
    return (
        before is not None
        and before.plain.endswith(":")
        and not step.opens_with("but", "wait", "no", "hmm")
        and not step.proposes
    )


@continuation
def repeats_a_rejection(step: StepView) -> bool:
    """Catch a rejection right after a rejection, which only repeats it; leave those that turn with "but"."""
    before = step.previous
    return (
        before is not None
        and before.rejects
        and step.rejects
        and not step.opens_with("but", "wait", "however")
    )


@continuation
def answers_its_question(step: StepView) -> bool:
    """Catch "Yes", "No" and "Because" right after a question without hedge; leave answers to guesses."""
    before = step.previous
    return (
        before is not None
        and before.is_question
        and not before.proposes
        and (step.opens_with("yes", "no", "well") or step.lead.startswith(("because", "not ", "yes")))
    )


@continuation
def explains_a_rejection(step: StepView) -> bool:
    """Catch the plain step after a short rejection that gives its reason; leave new guesses."""
    before = step.previous
    return (
        before is not None
        and before.rejects
        and not step.proposes
        and not step.openers
        and not step.is_question
        and not step.negates
    )


@continuation
def derives_with_wait(step: StepView) -> bool:
    """Catch "Wait, so ..." and "Wait, if ..." that only go on; leave negations and hedges."""
    return (
        step.opens_with("wait")
        and not step.negates
        and not step.proposes
        and not step.checks
        and (
            step.opens_with("so")
            or step.lead.startswith(("if ", "when ", "after ", "since ", "because ", "that seems", "this is"))
        )
    )


@continuation
def uses_a_given_after_but(step: StepView) -> bool:
    """Catch "But ..." with a given as the next premise in a calm passage; leave negations and hedges."""
    return (
        step.opens_with("but", "however")
        and not step.opens_with("wait")
        and not step.negates
        and not step.proposes
        and step.past.hedged_lately <= 2
    )


@continuation
def asks_by_an_objection(step: StepView) -> bool:
    """Catch "But how does it ...?", a question to oneself; leave questions with a hedge."""
    return (
        step.is_question
        and step.opens_with("but", "wait")
        and not step.proposes
        and not step.opens_with("no")
    )


@continuation
def hedges_in_a_calm_trace(step: StepView) -> bool:
    """Catch hedges in a trace that rarely guesses, where they qualify a claim; leave "but" and "wait"."""
    return step.proposes and step.tempo < 0.1 and not step.adversative and not step.is_question


CONTINUATION_FUNCTIONS: Final = continuation.functions
"""Further functions that vote for a convergent step."""

"""Labelling functions for backtracks that show by what they object to."""

import re
from typing import Final

from training.heuristics.labelling_function import FunctionFamily
from training.heuristics.step_view import StepView

objection: Final = FunctionFamily("backtrack")

_TASK: Final = (
    r"(?:problem|question|puzzle|riddle|user|statement|request|prompt|task|goal|instructions?|rules?|clue"
    r"|setup"
    r"|scenario|description|constraint|text|wording|spec|assignment|original)"
)


@objection
def says_no_to_a_proposal(step: StepView) -> bool:
    """Catch "No, ..." after a guess of the trace; leave the "no" that answers a plain question."""
    before = step.previous
    return step.opens_with("no", "nope") and before is not None and before.proposes


_TASK_OPENING: Final = re.compile(
    rf"(?:(?:in|for|as|since|given|because|from|with) )*(?:the|this|our|their|your|that) (?:\w+ )?{_TASK}s?\b"
)


@objection
def holds_the_task_against_a_guess(step: StepView) -> bool:
    """Catch "But the question says ..." right after a guess; leave it in calm passages."""
    before = step.previous
    return (
        step.adversative
        and bool(_TASK_OPENING.match(step.lead))
        and not step.proposes
        and before is not None
        and before.proposes
    )


@objection
def holds_the_task_against_the_line(step: StepView) -> bool:
    """Catch "But the task wants ..." in a restless trace; leave "wait", which more often rereads."""
    return (
        step.opens_with("but", "however", "no")
        and not step.opens_with("wait")
        and bool(_TASK_OPENING.match(step.lead))
        and not step.proposes
        and step.restless
    )


_CITATION: Final = re.compile(
    rf"(?:it|they|he|she|the (?:\w+ )?{_TASK}s?|here)(?:'s)? "
    r"(?:clearly |explicitly |specifically |also |already |only |just |does(?:n't| not) |didn't )*"
    r"(?:says?|said|states?|stated|asks?|asked|specif\w+|mentions?|mentioned|require\w*|want\w*|need\w*"
    r"|implies|given)\b"
)


@objection
def cites_what_is_asked(step: StepView) -> bool:
    """Catch "But it says ..." and "But they asked ..."; leave the same words without "but" or "no"."""
    return step.opens_with("but", "however", "no") and bool(_CITATION.match(step.lead)) and not step.proposes


_CASE_AT_HAND: Final = re.compile(
    r"(?:in (?:this|our|the (?:current|given|present|actual|original)|reality|real life|practice|general"
    r"|fact)"
    r"|here|usually|typically|normally|logically|technically|generally|strictly|realistically|again"
    r"|as (?:i|we|per))\b"
)


@objection
def contrasts_the_case_at_hand(step: StepView) -> bool:
    """Catch "But here ...", "But in this case ..." after a guess or comparison; leave it in calm passages."""
    before = step.previous
    return (
        step.opens_with("but", "however")
        and bool(_CASE_AT_HAND.match(step.lead))
        and not step.proposes
        and (step.past.hedged_lately >= 2 or (before is not None and before.proposes))
    )


@objection
def negates_after_but(step: StepView) -> bool:
    """Catch "But that ... not ..." as an objection of up to 20 words; leave hedges and questions."""
    return (
        step.opens_with("but", "however")
        and step.negates
        and not step.proposes
        and not step.is_question
        and step.word_count <= 20
        and (step.restless or step.past.hedged_lately >= 2)
    )


@objection
def objects_to_a_proposal(step: StepView) -> bool:
    """Catch any "But ..." right after a guess in a restless trace; leave "but" that proposes on or checks."""
    before = step.previous
    return (
        before is not None
        and before.proposes
        and step.restless
        and step.opens_with("but", "however")
        and not step.proposes
        and not step.checks
        and step.word_count >= 4
    )


@objection
def objects_to_a_proposal_in_a_calm_trace(step: StepView) -> bool:
    """Catch "But ... not ..." right after a guess in a calm trace; leave objections without a negation."""
    before = step.previous
    return (
        before is not None
        and before.proposes
        and not step.restless
        and step.opens_with("but", "however")
        and step.negates
        and not step.proposes
    )


@objection
def objects_amid_guesses(step: StepView) -> bool:
    """Catch "But ..." where half of the last eight steps guess or reject; leave hedges and checks."""
    return (
        step.opens_with("but", "however")
        and step.past.hedged_lately >= 4
        and not step.proposes
        and not step.checks
        and step.word_count >= 4
    )


_PRONOUN: Final = re.compile(r"(?:you|that|this|it|they|he|she|which|because|the|there|in|for|like)\b")


@objection
def negates_a_proposal(step: StepView) -> bool:
    """Catch a plain denial right after a guess ("You can't ..."); leave steps with "so" and conditions."""
    before = step.previous
    return (
        before is not None
        and before.proposes
        and not before.negates
        and step.negates
        and not step.proposes
        and not step.opens_with("so")
        and not step.is_item
        and step.word_count <= 16
        and bool(_PRONOUN.match(step.lead))
    )


@objection
def says_bare_no(step: StepView) -> bool:
    """Catch a bare "No." or "Not really." after a question or guess; leave it after a plain statement."""
    before = step.previous
    return (
        step.word_count <= 2
        and before is not None
        and (before.is_question or before.proposes)
        and step.plain.startswith(("no.", "no!", "no,", "nope", "not really", "not quite"))
    )


_THAT_IS_NOT: Final = re.compile(
    r"(?:that|this|it|which)(?:'s| is| would| does| can| seems| might be| would be)?(?:n't)? .{0,16}?"
    r"\b(?:not|n't|too|wrong|different|impossible|can't|doesn't|isn't|won't|seem right)\b"
)


@objection
def denies_what_was_said(step: StepView) -> bool:
    """Catch "... that is not ..." after an adversative or a guess.

    Leave calm denials, conditions and hedges.
    """
    before = step.previous
    return (
        bool(_THAT_IS_NOT.match(step.lead))
        and not step.proposes
        and not step.opens_with("so")
        and (step.adversative or (before is not None and before.proposes))
    )


@objection
def objects_briefly(step: StepView) -> bool:
    """Catch a short "But ..." statement amid guesses or after a question; leave hedges and announcements."""
    before = step.previous
    return (
        step.opens_with("but", "however")
        and not step.opens_with("wait")
        and 3 <= step.word_count <= 8
        and not step.proposes
        and not step.is_question
        and not step.lead.startswith(("let", "i ", "then"))
        and before is not None
        and (step.past.hedged_lately >= 2 or before.is_question)
    )


@objection
def denies_its_own_guess_question(step: StepView) -> bool:
    """Catch the denial right after a guess put as a question; leave answers to plain questions."""
    before = step.previous
    return (
        before is not None
        and before.is_question
        and (before.proposes or before.word_count <= 4)
        and (step.negates or step.opens_with("but"))
        and not step.proposes
        and not step.opens_with("so", "yes")
    )


_THAT: Final = re.compile(r"(?:that|this|it|which|they|those|these)(?:'s|'d|'re)?\b")


@objection
def answers_a_guess_with_but_that(step: StepView) -> bool:
    """Catch "But that ..." right after a guess, whatever it says of it; leave "but" that guesses on."""
    before = step.previous
    return (
        step.opens_with("but", "however")
        and bool(_THAT.match(step.lead))
        and not step.proposes
        and before is not None
        and before.proposes
    )


@objection
def objects_to_that(step: StepView) -> bool:
    """Catch "But that adds ...", "But it needs ..." elsewhere; leave hedges, questions and "wait"."""
    return (
        step.opens_with("but", "however")
        and not step.opens_with("wait")
        and bool(_THAT.match(step.lead))
        and not step.proposes
        and not step.is_question
    )


OBJECTION_FUNCTIONS: Final = objection.functions
"""Further functions that vote for a backtrack."""

"""Labelling functions for backtracks: steps that reject, retract or correct what the trace itself said."""

import re
from typing import Final

from training.heuristics.labelling_function import FunctionFamily
from training.heuristics.step_view import StepView

backtrack: Final = FunctionFamily("backtrack")


@backtrack
def says_wait_no(step: StepView) -> bool:
    """Catch "Wait, no, ..." with the correction in the step; leave a "no" without further words."""
    return (
        step.opens_with("wait", "actually", "hold on", "oh", "oops")
        and step.opens_with("no")
        and bool(step.lead)
    )


@backtrack
def says_bare_wait_no(step: StepView) -> bool:
    """Catch a bare "Wait, no." that rejects by itself; leave any with further words."""
    return step.opens_with("wait", "but", "hold on", "oh") and step.opens_with("no", "nope") and not step.lead


@backtrack
def says_but_no(step: StepView) -> bool:
    """Catch "But no, ..."; leave "no" as a determiner."""
    return step.opens_with("but", "hm", "hmm") and step.opens_with("no", "nope")


@backtrack
def says_no_with_reason(step: StepView) -> bool:
    """Catch "No, that ..." with a reason; leave the one-word "No."."""
    return step.opens_with("no", "nope") and step.word_count >= 4


_VERDICT: Final = re.compile(
    r"\b(?:(?:does|do|did|would|will|can|could|is|are|was)(?:n't| not)|won't|can't|cannot) (?:\w+ )?"
    r"(?:work|fit|match|help|make sense|apply|hold up|add up|seem right|satisfy|suffice|qualify|possible"
    r"|allowed"
    r"|relevant|the case|correct|right|valid|accurate|enough|sufficient|helpful|useful|feasible|specific"
    r"|realistic)\b"
)
_BECAUSE: Final = re.compile(r"\b(?:since|because|if|when|therefore|as)\b")


@backtrack
def says_it_fails(step: StepView) -> bool:
    """Catch the verdict "that doesn't work" in a short step; leave reasons, conditions, guesses and "so"."""
    return (
        bool(_VERDICT.search(step.plain))
        and step.word_count <= 14
        and not step.opens_with("so", "yes")
        and not step.is_item
        and not step.proposes
        and not _BECAUSE.match(step.lead)
    )


_THAT_FAILS: Final = re.compile(
    r"(?:that|this|it|these|those|which|they)"
    r"(?:'s|'re| is| are| was| would be| seems?| might be| may be| looks?| sounds?| feels)? "
    r"(?:just |also |still |really |probably |clearly |even |kind of |a bit |quite |more |most )*"
    r"(?:not|n't|isn't|doesn't|can't|cannot|won't|wouldn't|didn't|wrong|incorrect|impossible|invalid|unlikely"
    r"|contradict\w*|inconsistent|a stretch|stretching|too|over\w+|different|obvious|trivial|ambiguous"
    r"|unrealistic"
    r"|far-?fetched|problematic|leads? to a contradiction|implausible|odd|counterintuitive|backwards"
    r"|irrelevant)"
)


@backtrack
def rejects_with_but_that(step: StepView) -> bool:
    """Catch "But that is too ..." and "But it doesn't ..."; leave the same words without an adversative."""
    return (step.adversative or step.opens_with("hm", "hmm")) and bool(_THAT_FAILS.match(step.lead))


_CANNOT_BE: Final = re.compile(
    r"\b(?:can't|cannot|couldn't|can not) (?:possibly )?be(?:\s*[,.!;]|$| (?:right|correct|true|it"
    r"|the case|so|possible|because|since))"
)


@backtrack
def says_it_cannot_be(step: StepView) -> bool:
    """Catch "That can't be." and "cannot be right"; leave passive abilities such as "can't be used"."""
    return bool(_CANNOT_BE.search(step.plain)) and not step.opens_with("so") and not step.is_item


_CONTRADICTION: Final = re.compile(
    r"\b(?:contradict\w*|inconsisten\w*|impossible|absurd|violates?|conflicts? with)\b"
)


@backtrack
def finds_a_contradiction(step: StepView) -> bool:
    """Catch a short "But that contradicts ..."; leave the planned contradiction of a proof ("so ...")."""
    return (
        bool(_CONTRADICTION.search(step.plain))
        and step.adversative
        and not step.proposes
        and step.word_count <= 16
    )


_ADMISSION: Final = re.compile(
    r"\b(?:my (?:mistake|bad)|oops|scratch that|scrap that|strike that|disregard that|never ?mind"
    r"|correction:|i was wrong"
    r"|that was wrong|i stand corrected"
    r"|i (?:forgot|overlooked|miscounted|misread|misspoke|misremembered|miscalculated|mixed up|messed up"
    r"|neglected|mistook)"
    r"|i (?:incorrectly|mistakenly|wrongly)|(?:but|no|wait|actually),? (?:previously |earlier )+(?:i"
    r"|we) (?:said|thought|assumed|had|found))\b"
)


@backtrack
def admits_an_error(step: StepView) -> bool:
    """Catch "I forgot ...", "my mistake", "but earlier I had ...".

    Leave suspected errors ("maybe I misread").
    """
    return bool(_ADMISSION.search(step.plain)) and not step.proposes and not step.is_question


_TOO_MUCH: Final = re.compile(
    r"\btoo (?:\w+ly )?(?:slow|long|big|small|large|short|much|many|few|little|simple|easy|trivial"
    r"|complicated"
    r"|complex|obvious|vague|general|abstract|broad|straightforward|high|low|late|early|common|literal"
    r"|specific"
    r"|narrow|weak|strong|hard|heavy|far|messy|generic)\b"
)


@backtrack
def says_too_much(step: StepView) -> bool:
    """Catch "Too slow." and "That is too obvious" as verdicts; leave longer descriptions and "so"."""
    return bool(_TOO_MUCH.search(step.plain)) and step.word_count <= 10 and not step.opens_with("so")


_SHORT_VERDICT: Final = re.compile(
    r"(?:(?:still|also|probably|maybe|perhaps|again|definitely|clearly|but) )*(?:not (?!sure|certain|yet"
    r"|needed)|never"
    r"|bad|worse|wrong|too|invalid|impossible|unlikely|doubtful|contradiction|fails?|useless"
    r"|same (?:problem|issue)"
    r"|far-fetched|no good|no[.!,]?$|nope|over \d|exceeds)\b"
)


@backtrack
def gives_a_short_verdict(step: StepView) -> bool:
    """Catch verdicts of up to five words ("Not better.", "Still too long.").

    Leave repetitions and answers.
    """
    before = step.previous
    return (
        step.word_count <= 5
        and bool(_SHORT_VERDICT.match(step.lead or step.plain))
        and not step.is_item
        and before is not None
        and not before.rejects
        and (not before.is_question or before.proposes)
    )


_STRETCH: Final = re.compile(
    r"\b(?:a (?:bit of a |big )?stretch|stretching it|far-?fetched|unlikely|unrealistic|implausible"
    r"|improbable|pedantic"
    r"|over-?complicat\w+|over-?think\w*|beside the point|off topic|not (?:specific|common|standard"
    r"|typical|relevant"
    r"|necessary|needed|required|helpful|useful|ideal|great|good|quite|really|exactly|likely|the point"
    r"|the answer"
    r"|the goal|the issue|the same|what|about|part of|optimal|beneficial|better))\b"
)


@backtrack
def calls_it_a_stretch(step: StepView) -> bool:
    """Catch "That is a stretch", "not needed"; leave guesses, premises and steps that open with "so"."""
    return (
        bool(_STRETCH.search(step.plain))
        and not step.opens_with("so")
        and not step.proposes
        and not step.is_item
        and step.past.hedged_lately >= 1
    )


@backtrack
def corrects_with_actually(step: StepView) -> bool:
    """Catch "Wait, actually ..." and "Actually, it is ..."; leave a bare "Actually" and guesses."""
    return step.opens_with("actually") and step.word_count >= 4 and not step.is_question and not step.proposes


@backtrack
def negates_after_wait(step: StepView) -> bool:
    """Catch "Wait, ... not ..." that denies what was just said; leave questions and hedges."""
    return step.opens_with("wait") and step.negates and not step.proposes and not step.is_question


_DROPPED: Final = re.compile(
    r"\b(?:dead end|(?:start|square) one|that(?:'s| is) out|rule[sd]? (?:that|this|it) out|discard (?:that"
    r"|this|it)"
    r"|abandon|give up on|drop (?:this|that)|not going (?:to work|anywhere)|(?:won't|will not) (?:work"
    r"|help|do)"
    r"|back to (?:the )?(?:start|square|where)|getting nowhere|let's (?:not|ignore|skip|avoid)"
    r"|don't need (?:that|this|to)"
    r"|exceeds \d|(?:is|that's) (?:over|above) \d)\b"
)


@backtrack
def drops_the_line(step: StepView) -> bool:
    """Catch "a dead end", "that won't work", "let's not ...".

    Leave announced eliminations in lists and "so".
    """
    return (
        bool(_DROPPED.search(step.plain))
        and not step.is_item
        and not step.opens_with("so")
        and not step.proposes
    )


BACKTRACK_FUNCTIONS: Final = backtrack.functions
"""Functions that vote for a backtrack."""

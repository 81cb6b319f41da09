"""Labelling functions for convergent steps: those that move the current line forward."""

import re
from typing import Final

from training.heuristics.labelling_function import FunctionFamily
from training.heuristics.step_view import StepView

convergent: Final = FunctionFamily("convergent")

_LETTER: Final = re.compile(r"[a-z]{3,}")
_FORMULA: Final = re.compile(r"[=<>≤≥≈+×÷^\\]|\d")


@convergent
def computes(step: StepView) -> bool:
    """Catch formulas and sums with few words; leave prose with a number in it."""
    return (
        step.word_count <= 8
        and bool(_FORMULA.search(step.plain))
        and len(_LETTER.findall(step.plain)) <= 4
        and not step.is_question
        and not step.negates
    )


@convergent
def lists_an_item(step: StepView) -> bool:
    """Catch list items and headings without an adversative opener; leave hedged items."""
    return step.is_item and not step.opens_with("but", "wait", "no") and not step.proposes


_OPTION: Final = re.compile(
    r"(?:\(?[a-j][).:]|option [a-j1-9]\b|choice [a-j]\b|case \w+\b|step \d|scenario \w+:|answer:"
    r"|[a-z ]{3,25}:$)"
)


@convergent
def walks_announced_options(step: StepView) -> bool:
    """Catch "Option B", "Case 2", "Step 3" and headings; leave unannounced alternatives."""
    return bool(_OPTION.match(step.lead))


_SO: Final = re.compile(
    r"(?:therefore|thus|hence|consequently|as a result|accordingly|in conclusion|overall|in summary"
    r"|to summarize|this (?:means|gives|implies|yields|shows)|that (?:means|gives|implies|yields|leaves"
    r"|is)|which (?:means|gives|is))\b"
)


@convergent
def concludes_by_word(step: StepView) -> bool:
    """Catch "Therefore", "which means" and their like; leave conclusions that negate after "but"."""
    return bool(_SO.match(step.lead)) and not step.opens_with("but", "wait")


@convergent
def concludes_with_so(step: StepView) -> bool:
    """Catch steps that open with "So"; leave those that hedge."""
    return step.opens_with("so") and not step.opens_with("but", "wait") and not step.proposes


@convergent
def infers_with_so_maybe(step: StepView) -> bool:
    """Catch "So maybe ...", a hedged consequence; leave hedges without "so"."""
    return step.opens_with("so", "then") and not step.opens_with("but", "wait") and step.proposes


_NEXT: Final = re.compile(
    r"(?:first(?:ly)?|second(?:ly)?|third(?:ly)?|next|finally|lastly|step|to (?:start|begin|do|find|get"
    r"|solve)|after|once|when|starting)\b"
)


@convergent
def goes_on_in_order(step: StepView) -> bool:
    """Catch "First", "Next", "Finally"; leave orders after "but" or "wait"."""
    return bool(_NEXT.match(step.lead)) and not step.opens_with("but", "wait", "no")


@convergent
def goes_on_with_now(step: StepView) -> bool:
    """Catch "Now ...", "Then ...", "And ...", "Also ..."; leave them when the step hedges or negates."""
    return (
        step.opens_with("now", "then", "and", "also")
        and not step.opens_with("but", "wait", "no")
        and not step.proposes
    )


_GIVEN: Final = re.compile(
    r"(?:let [a-z]\b|let the|denote|define|given|we (?:have|know|get|see|are)|recall|note|since|because"
    r"|due to|as (?:the|we|i|it)|by |where|with|i know|there (?:is|are)|the key|it's (?:given|known))\b"
)


@convergent
def states_a_premise(step: StepView) -> bool:
    """Catch givens, definitions and reasons; leave those set against something by "but"."""
    return bool(_GIVEN.match(step.lead)) and not step.opens_with("but", "wait", "no", "however")


_ELABORATE: Final = re.compile(
    r"(?:for (?:example|instance)|like|such as|that is|i\.e|e\.g|meaning|in other words|specifically"
    r"|namely|similarly|additionally|moreover|furthermore|in addition|especially|particularly)\b"
)


@convergent
def elaborates(step: StepView) -> bool:
    """Catch examples and additions; leave hedged ones."""
    return bool(_ELABORATE.match(step.lead)) and not step.proposes and not step.is_question


_AFFIRM: Final = re.compile(
    r"(?:correct|good|great|perfect|exactly|indeed|that (?:works|makes sense|matches|checks|fits"
    r"|seems (?:right|correct|good|consistent|fine|reasonable|plausible))|this (?:works|makes sense"
    r"|matches|checks)|makes sense|it (?:works|matches|fits)|true|fine|that's (?:right|correct|it|good"
    r"|fine|okay|consistent|true)|ah)\b"
)


@convergent
def affirms(step: StepView) -> bool:
    """Catch "Yes", "That works", "Perfect"; leave affirmations that turn with "but"."""
    return (
        (step.opens_with("yes", "yeah", "ok", "okay", "right") or bool(_AFFIRM.match(step.lead)))
        and not step.opens_with("but", "wait", "no")
        and not step.negates
    )


@convergent
def only_interjects(step: StepView) -> bool:
    """Catch a bare "Hmm." or "But wait." that says nothing yet; leave any with "no"."""
    return not step.lead and not step.opens_with("no", "nope")


_EMPTY_DOUBT: Final = re.compile(
    r"(?:(?:i'm|i am) )?(?:not (?:entirely |completely |quite |really |too )?(?:sure|certain)"
    r"|this is (?:confusing|tricky|interesting|strange|messy|getting|a bit|hard|conflicting)"
    r"|that's (?:interesting|strange|odd|weird|confusing)|tricky|interesting|strange|confusing|how\??$"
    r"|why\??$|i'm (?:stuck|confused|getting)|which (?:one|is)|what(?: is|'s) (?:it|the))"
)


@convergent
def doubts_without_content(step: StepView) -> bool:
    """Catch "I'm not sure." and "This is confusing."; leave doubts that carry a reason."""
    return bool(_EMPTY_DOUBT.match(step.lead)) and step.word_count <= 8


@convergent
def asks_a_plain_question(step: StepView) -> bool:
    """Catch questions without a hedge; leave those that put a candidate on the table."""
    return (
        step.is_question and not step.proposes and not step.opens_with("but", "wait") and step.word_count >= 3
    )


_LET: Final = re.compile(
    r"(?:let me|let's|let us|i(?:'ll| will| can)|we(?:'ll| will| can)) (?:now |just |also |first |try to "
    r"|start by |go ahead and )*"
    r"(?:calculate|compute|denote|define|call|set|find|solve|expand|simplify|substitute|plug|model"
    r"|represent|assign|draw|label|note|say|use|write|add|subtract|multiply|divide|apply|analy[sz]e"
    r"|understand|move|craft|produce|provide|give|include|answer|break|figure|do|go|create|get|express"
    r"|factor|start|begin|proceed)\b"
)


@convergent
def sets_to_work(step: StepView) -> bool:
    """Catch "Let me compute ...", "We'll use ..."; leave announcements to reread or redo."""
    return (
        bool(_LET.match(step.lead)) and not step.opens_with("but", "wait", "no") and "again" not in step.plain
    )


_MUST: Final = re.compile(
    r"(?:i|we|you|it|one|the (?:answer|response|code|output)) (?:need|must|should|have to|has to|want|will"
    r"|can|am|are|'ll|'m)\b|(?:need|must|should) (?:to|be|also|include|provide|ensure)\b|(?:i|we)(?:'ll|'m"
    r"|'re)\b"
)


@convergent
def plans(step: StepView) -> bool:
    """Catch "We need to ...", "I'll ..." and the note "Must include"; leave hedged plans."""
    return (
        bool(_MUST.match(step.lead))
        and not step.proposes
        and not step.opens_with("but", "wait", "no", "however")
        and not step.negates
    )


_ANSWER: Final = re.compile(
    r"\b(?:the (?:final |correct |best |right |intended |likely )?answer (?:is|should be|would be|must be)"
    r"|final answer|i(?:'ll| will) (?:go with|answer|say|respond)|answer:|i think (?:that's|the answer"
    r"|it's)|should (?:answer|respond|say))"
)


@convergent
def answers(step: StepView) -> bool:
    """Catch statements of the answer; leave those set against something by "but"."""
    return (
        bool(_ANSWER.search(step.plain))
        and not step.opens_with("but", "wait", "no", "however")
        and not step.proposes
    )


_NO_TROUBLE: Final = re.compile(
    r"\b(?:no|nothing|not any|without any|isn't any|aren't any) (?:\w+ )?(?:problem|issue|trouble"
    r"|contradictions?|suspicious|unusual|need|extra|other|additional|change|effect|hints?|constraints?"
    r"|indication|errors?)\b|\bso (?:that's|it's) (?:fine|ok|okay|allowed|correct)"
)


@convergent
def finds_no_trouble(step: StepView) -> bool:
    """Catch negations that clear the way ("no problem", "nothing suspicious"); leave other negations."""
    return bool(_NO_TROUBLE.search(step.plain))


_OWN_SLIP: Final = re.compile(
    r"\b(?:i(?:'m| am|'ve| have| might have| may have| must have| could have| might be| may be| must be)? "
    r"(?:\w+ )?(?:made (?:a|an|some|any) (?:\w+ )?(?:mistake|error)|missing (?:something|a|an|the)|messed"
    r"|mixing|confus\w*"
    r"|missed|make (?:a|any|an) (?:mistake|error)s?)|mistake in my)\b"
)


@convergent
def suspects_a_slip(step: StepView) -> bool:
    """Catch "I could be missing a term", doubt without content; leave errors that are named."""
    return (
        bool(_OWN_SLIP.search(step.plain))
        and step.word_count <= 12
        and not step.lead.startswith(("let", "or "))
    )


_SETTLE: Final = re.compile(
    r"\b(?:(?:go|going|went) with|stick(?:ing)? with|settle (?:on|for)|proceed with|stay with|choose"
    r"|accept that|conclude)\b"
)


@convergent
def settles_on_a_candidate(step: StepView) -> bool:
    """Catch "I'll go with ...", the calm choice among lines on the table; leave choices that are denied."""
    return bool(_SETTLE.search(step.plain)) and not step.negates and not step.is_question


CONVERGENT_FUNCTIONS: Final = convergent.functions

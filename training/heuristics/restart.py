"""Labelling functions for restarts: steps that go back to redo, reread or re-check without a new idea."""

import re
from typing import Final

from training.heuristics.labelling_function import FunctionFamily
from training.heuristics.step_view import StepView

restart: Final = FunctionFamily("restart")

_TASK: Final = (
    r"(?:problem|question|puzzle|riddle|statements?|prompt|task|instructions?|description|wording|text"
    r"|clues?|rules"
    r"|restrictions|conditions|setup|request|original|assignment)"
)
_INTENT: Final = (
    r"(?:let me|let's|let us|(?:maybe |perhaps )?i(?:'ll| will| should| need to| must| have to| want to"
    r"| can|'d better)?"
    r"|we(?:'ll| will| should| need to| must| have to| can)?|just|to)"
)

_AGAIN: Final = re.compile(
    rf"{_INTENT} .*\b(?:again|once more|one more time|another look|from scratch|from the (?:start"
    rf"|beginning|top)|anew"
    r"|afresh|a second time)\b|(?:again|once more|one more (?:check|time))[,:] (?:let|check|the|from)"
    r"|start(?:ing)? over\b"
)


@restart
def does_it_again(step: StepView) -> bool:
    """Catch "Let me count again" and "from scratch"; leave "again" without an intention to act."""
    return bool(_AGAIN.match(step.lead))


_ENDS_WITH_AGAIN: Final = re.compile(r"\b(?:again|once more|over again)\b[\s.:!?\"]*$")


@restart
def ends_with_again(step: StepView) -> bool:
    """Catch short intentions that end in "again"; leave "again" in descriptions and at the opening."""
    return (
        bool(_ENDS_WITH_AGAIN.search(step.plain))
        and step.word_count <= 14
        and (
            step.checks
            or step.lead.startswith(("let", "read", "think", "wait", "again", "i ", "try", "look"))
        )
    )


_REDO: Final = re.compile(
    rf"{_INTENT}(?: try to| quickly| carefully| just| now| also)* re-?"
    r"(?:read|check|examin|evaluat|think|visit|consider|calculat|comput|count|phras|stat|trac|assess|verif"
    r"|do|cast"
    r"|fram|start|writ|pars|interpret|organi[sz]|analy[sz]|deriv|work|view|construct|model|draw|list"
    r"|formulat)"
    r"(?:e|es|ing|y)?\b|re-?(?:read|check|examin|evaluat|think|calculat|comput|count)ing\b"
)


@restart
def redoes_by_verb(step: StepView) -> bool:
    """Catch "Let me re-examine ..." and "I should recount".

    Leave "re-" verbs that are not the step's own act.
    """
    return bool(_REDO.match(step.lead))


_READ_TASK: Final = re.compile(
    rf"(?:{_INTENT} )?(?:try to |just |quickly |first |now |carefully )*"
    rf"(?:read|look(?:ing)?(?: back)?(?: at)?|go back|parse|quote|review|check|search|see"
    rf"|confirm)\b.{{0,24}}\b{_TASK}\b"
)


@restart
def goes_back_to_the_task(step: StepView) -> bool:
    """Catch "Let me look at the question" late in a restless trace; leave the first reading."""
    return bool(_READ_TASK.match(step.lead)) and step.index >= 12 and step.past.rejections >= 1


_READ_NOW: Final = re.compile(
    rf"{_INTENT} (?:just |now )?(?:read|parse|quote)\b|looking back|reading (?:it|the|carefully|again)"
    rf"|let me look at (?:it|the)\b"
)


@restart
def reads_carefully(step: StepView) -> bool:
    """Catch "Let me read carefully" and "Looking back: ..." after the opening.

    Leave it in the first steps.
    """
    return bool(_READ_NOW.match(step.lead)) and step.index >= 6


_TASK_SAYS: Final = re.compile(
    rf"(?:but )?(?:in )?(?:the|my|our|initial|original|exact)\b.{{0,24}}\b(?:{_TASK}|user|initial state"
    rf"|problem's|user's)\b"
    r".{0,30}(?:says|said|states|asks|reads|is:|was|phrased|: \")"
)


@restart
def quotes_the_task_after_wait(step: StepView) -> bool:
    """Catch "Wait, the text says: ..." that goes back to the givens late on; leave it after a guess."""
    before = step.previous
    return (
        step.opens_with("wait", "hold on", "hmm")
        and bool(_TASK_SAYS.match(step.lead))
        and not step.proposes
        and step.word_count >= 10
        and step.index >= 6
        and before is not None
        and not before.proposes
    )


@restart
def quotes_the_task_again(step: StepView) -> bool:
    """Catch a quotation of the task that stood in an earlier step, late on.

    Leave quotations against a guess.
    """
    before = step.previous
    return (
        step.repeats
        and bool(_TASK_SAYS.match(step.lead))
        and '"' in step.plain
        and before is not None
        and not before.proposes
        and not step.negates
    )


_CHECK: Final = re.compile(
    rf"(?:{_INTENT} )?(?:just )?(?:(?:to|and) )?(?:quickly |also |at least |now "
    rf"|try to )*(?:double-? ?check|re-?check"
    r"|check|verify|confirm|make sure|be (?:sure|certain|thorough)|cross-?check|sanity)"
)


@restart
def checks_again_after_rejections(step: StepView) -> bool:
    """Catch an announced check after an earlier check and a rejection; leave checks in a calm trace."""
    return (
        step.checks
        and step.past.checks >= 1
        and bool(_CHECK.match(step.lead))
        and step.past.rejections >= 2
        and not step.plain.endswith(("that.", "this."))
    )


@restart
def checks_after_concluding(step: StepView) -> bool:
    """Catch "Wait, let me check ..." or "But let me verify ..." after a conclusion; leave first checks."""
    return (
        step.checks
        and step.adversative
        and step.past.conclusions >= 1
        and step.past.checks >= 1
        and bool(_CHECK.match(step.lead))
    )


_DOUBLE_CHECK: Final = re.compile(r"\b(?:double|triple)-? ?check|\bone more check\b|\bcheck(?:ing)? again\b")


@restart
def double_checks_later(step: StepView) -> bool:
    """Catch "double-check" after an earlier check; leave the first one, however it is called."""
    return bool(_DOUBLE_CHECK.search(step.plain)) and step.past.checks >= 1


_STEP_BACK: Final = re.compile(
    r"\b(?:take a step back|step back|start (?:over|again|fresh)|begin again|back to (?:the )?(?:basics"
    r"|drawing board)"
    r"|from scratch|retrace|back up a|slow down)\b"
)


@restart
def steps_back(step: StepView) -> bool:
    """Catch "take a step back", "start over"; leave plans that start for the first time."""
    return bool(_STEP_BACK.search(step.plain)) and step.index >= 4 and not step.negates


_OTHER_WAY: Final = re.compile(
    r"\b(?:another|a different|different|an alternative|a smarter|a better|a simpler|an easier|a shorter"
    r"|some other"
    r"|other|a new) (?:way|approach|method|angle|interpretation|idea|strategy|route|path|plan|perspective"
    r"|tack"
    r"|reading)s?\b"
)


@restart
def announces_another_way(step: StepView) -> bool:
    """Catch "There may be a shorter route." without the way itself; leave announcements that carry it."""
    return (
        bool(_OTHER_WAY.search(step.plain))
        and step.word_count <= 13
        and ":" not in step.plain[:-1]
        and (step.proposes or step.lead.startswith(("let", "there", "i ", "we ", "try")))
    )


_DIFFERENTLY: Final = re.compile(
    r"\b(?:think|approach|look at|try|frame|model|see|consider)\b.{0,30}\b(?:differently|different way"
    r"|outside the box)\b"
)


@restart
def thinks_differently(step: StepView) -> bool:
    """Catch "Let me look at the whole thing differently"; leave "differently" as a description."""
    return bool(_DIFFERENTLY.search(step.plain))


_REGROUP: Final = re.compile(
    r"(?:let me|let's|let us|i should|i need to|we should) (?:just |try to |now |first |quickly |carefully )*"
    r"(?:think|clarify|list|write|go (?:through|over|back|step)|re\w+|break|outline|examine|organize"
    r"|summarize|recap"
    r"|take|slow|start|look|restate|parse|confirm|reason|search|sequence|track|formalize|simulate"
    r"|work through)\b"
)


@restart
def regroups_after_confusion(step: StepView) -> bool:
    """Catch "Let me list what is known" right after confusion or a rejection; leave it elsewhere."""
    before = step.previous
    return bool(_REGROUP.match(step.lead)) and before is not None and (before.confused or before.rejects)


@restart
def regroups_amid_guesses(step: StepView) -> bool:
    """Catch "Let's think about ..." where half of the last eight steps guess or reject.

    Leave it elsewhere.
    """
    return bool(_REGROUP.match(step.lead)) and step.past.hedged_lately >= 4


_MISREAD: Final = re.compile(
    r"(?:maybe|perhaps|possibly) i(?:'m| am|'ve| have)? (?:mis(?:read|interpret|underst)\w*)\b"
)


@restart
def suspects_a_misreading(step: StepView) -> bool:
    """Catch "Perhaps I misread the label"; leave suspected slips in a calculation."""
    return bool(_MISREAD.match(step.lead))


_LET: Final = re.compile(r"(?:let me|let's|let us)\b")
_WORK: Final = re.compile(
    r"(?:let me|let's|let us) (?:calculate|compute|denote|define|call|set|solve|expand|simplify|substitute"
    r"|plug|say|use"
    r"|add|subtract|multiply|divide|apply|produce|provide|give|answer|assume|suppose|also|first)\b"
)


def _announces(step: StepView) -> bool:
    """Tell whether the step announces what the trace will do, other than to compute or answer."""
    return bool(_LET.match(step.lead)) and not _WORK.match(step.lead) and not step.is_item


@restart
def announces_after_an_objection(step: StepView) -> bool:
    """Catch "Let me ..." right after a "but", "wait" or question; leave announcements of computing."""
    before = step.previous
    return (
        _announces(step)
        and before is not None
        and (before.adversative or before.is_question)
        and step.index >= 12
    )


@restart
def announces_once_concluded(step: StepView) -> bool:
    """Catch "Let me ..." after two conclusions and a rejection; leave announcements of computing."""
    return _announces(step) and step.past.conclusions >= 2 and step.past.rejections >= 1


@restart
def announces_late(step: StepView) -> bool:
    """Catch a short "Let's ..." in a restless trace; leave those that already carry the new line."""
    return _announces(step) and step.restless and step.index >= 12 and step.word_count <= 12


@restart
def turns_to_a_check(step: StepView) -> bool:
    """Catch "But let me ..." and "Wait, let's ..." after the opening; leave computing and first checks."""
    return (
        _announces(step)
        and step.adversative
        and step.index >= 12
        and (step.past.checks >= 1 or not step.checks)
    )


RESTART_FUNCTIONS: Final = restart.functions
"""Functions that vote for a restart."""

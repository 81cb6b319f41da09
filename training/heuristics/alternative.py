"""Labelling functions for alternatives: steps that put another line, reading or candidate on the table."""

import re
from typing import Final

from training.heuristics.labelling_function import FunctionFamily
from training.heuristics.step_view import StepView

alternative: Final = FunctionFamily("alternative")

_ALTERNATIVELY: Final = re.compile(
    r"(?:alternatively|as an alternative|alternative(?:ly)?\b[^.]{0,40}:|or else\b)"
)


@alternative
def opens_with_alternatively(step: StepView) -> bool:
    """Catch "Alternatively, ..." and "Alternative reading: ..."; leave the adjective inside a sentence."""
    return bool(_ALTERNATIVELY.match(step.lead))


_ANOTHER_LINE: Final = re.compile(
    r"(?:or |maybe |perhaps |yet |here's |there's )?(?:another|a different|a second|one more"
    r"|some other) (?:[\w-]+ )?"
    r"(?:idea|thought|way|approach|method|angle|option|possibility|possible|interpretation|candidate|answer"
    r"|explanation|reading|view|perspective|strategy|trick|solution|suggestion|potential|example|scenario"
    r"|case"
    r"|variant|version|choice|route|path|construction|assumption|guess|attempt)s?\b"
)


@alternative
def names_another_line(step: StepView) -> bool:
    """Catch "Another idea: ..." when the idea follows in the step; leave the bare announcement."""
    return bool(_ANOTHER_LINE.match(step.lead)) and (":" in step.lead[:60] or step.word_count >= 7)


_MAYBE: Final = re.compile(r"(?:maybe|perhaps|possibly|probably|conceivably|potentially)\b")
_OWN_SLIP: Final = re.compile(
    r"\bi(?:'m| am|'ve| have)? (?:missing|miss\w*|made|mis\w+|mess\w*|confus\w*|mix\w*|wrong)\b"
)


def _guesses(step: StepView) -> bool:
    """Tell whether the step opens with a hedge that is not a worry about the trace's own mistakes."""
    return bool(_MAYBE.match(step.lead)) and not _OWN_SLIP.search(step.plain)


@alternative
def opens_with_maybe_amid_guesses(step: StepView) -> bool:
    """Catch "Maybe the ..." where several of the last eight steps guess or reject; leave "So maybe ..."."""
    return _guesses(step) and step.past.hedged_lately >= 3 and not step.opens_with("so", "then", "and")


@alternative
def opens_with_maybe_later(step: StepView) -> bool:
    """Catch "Perhaps it ..." in a calm passage after a first line exists; leave guesses under seven words."""
    return (
        _guesses(step)
        and step.past.hedged_lately < 3
        and step.index >= 8
        and step.word_count >= 7
        and not step.opens_with("so", "then", "and")
    )


@alternative
def opens_with_wait_maybe(step: StepView) -> bool:
    """Catch "Wait, maybe ..." that names another reading; leave worries about own mistakes."""
    return _guesses(step) and step.opens_with("wait", "hm", "hmm", "oh") and step.word_count >= 6


@alternative
def opens_with_but_maybe(step: StepView) -> bool:
    """Catch "But perhaps it is ..." that turns to another reading; leave contents under six words."""
    return _guesses(step) and step.opens_with("but", "however") and step.word_count >= 6


_OR: Final = re.compile(r"or[ ,:]")


@alternative
def opens_with_or(step: StepView) -> bool:
    """Catch a step that begins with "Or" and names one more choice; leave "or" inside a sentence."""
    return bool(_OR.match(step.lead)) and step.word_count >= 3


_UNLESS: Final = re.compile(r"unless\b")


@alternative
def opens_with_unless(step: StepView) -> bool:
    """Catch "Unless it is ..." that reopens a settled point; leave "unless" in the middle of a rule."""
    return bool(_UNLESS.match(step.lead))


_WHAT_IF: Final = re.compile(r"(?:(?:and|or|like) )?(?:what|how) (?:if|about)\b|why not\b|how come not\b")


@alternative
def asks_what_if(step: StepView) -> bool:
    """Catch "What if ...", "What about ..." and "Why not ..."; leave questions about the given facts."""
    return bool(_WHAT_IF.match(step.lead)) or "what if" in step.lead


_HEDGE_INSIDE: Final = re.compile(r"\b(?:maybe|perhaps|possibly|instead|might|alternatively)\b")


@alternative
def asks_with_a_hedge(step: StepView) -> bool:
    """Catch a question with "maybe", "might" or "instead" after the opening steps; leave plain questions."""
    return (
        step.is_question
        and step.index >= 4
        and bool(_HEDGE_INSIDE.search(step.plain))
        and not step.opens_with("so", "then", "and")
    )


_BARE_CANDIDATE: Final = re.compile(r"(?:maybe |perhaps |or |like )?(?:an?|the|\")\s*\w")


@alternative
def floats_a_candidate(step: StepView) -> bool:
    """Catch a candidate as a bare question ("A shadow?") among others; leave longer questions."""
    return (
        step.is_question
        and step.word_count <= 5
        and step.past.proposals >= 2
        and bool(_BARE_CANDIDATE.match(step.lead))
    )


_TRICK: Final = re.compile(
    r"\b(?:trick (?:question|puzzle|answer)|(?:an?|the|some) (?:\w+ )?(?:twist|pun|typo|joke|metaphor"
    r"|riddle|misprint"
    r"|misstatement|mistranslation|red herring|wordplay)\b|play(?:ing)? on words|word ?play"
    r"|metaphorical\w*|figurative\w*"
    r"|hidden (?:meaning|constraint|assumption|condition)|translation error)\b"
)


@alternative
def suspects_a_trick(step: StepView) -> bool:
    """Catch another reading by trick, pun, typo or metaphor, said with a hedge; leave denials of one."""
    return (
        bool(_TRICK.search(step.plain))
        and step.index >= 4
        and not step.negates
        and not step.opens_with("so")
        and (step.proposes or step.opens_with("but", "wait") or step.is_question)
    )


_ASKER_MIGHT: Final = re.compile(
    r"\b(?:user|question|problem|puzzle|author|they|riddle|prompt|asker|teacher|examiner|it|statement"
    r"|answer)s? "
    r"(?:might|may|could|perhaps|maybe|possibly|is perhaps|is maybe|(?:was|were) (?:maybe|perhaps))"
    r" (?:be |have |just |also |actually |really )*(?:mean\w*|want\w*|expect\w*|intend\w*|ask\w*|refer\w*"
    r"|assum\w*"
    r"|test\w*|supposed|looking|interpreted|mistyped|confus\w*|implying|hint\w*|play\w*)"
)


@alternative
def reads_the_question_otherwise(step: StepView) -> bool:
    """Catch "The user might mean ..." as another reading; leave the first reading of the task."""
    return bool(_ASKER_MIGHT.search(step.plain)) and step.index >= 6 and not step.opens_with("so")


_OTHER_READINGS: Final = re.compile(
    r"\b(?:some (?:people|sources|would|might|may|could|versions?|variants?|interpret\w*|\w+ (?:say|argue"
    r"|think))"
    r"|in some (?:\w+ )?(?:contexts?|cases|versions?|variants?|puzzles?|interpretations?|definitions?"
    r"|conventions?)"
    r"|there(?:'s| is| might be| could be) (?:also )?(?:a|the|some|another) "
    r"(?:possibility|chance|variant|version|case to be made|argument|twist|catch|trick|subtlety|nuance)"
    r"|(?:can|could|might|may) (?:also )?be (?:mis)?(?:interpreted|understood|read|construed))\b"
)


@alternative
def mentions_other_readings(step: StepView) -> bool:
    """Catch "Some would say ..." and "can be read as ..." after the opening; leave list items and "so"."""
    return (
        bool(_OTHER_READINGS.search(step.plain))
        and step.index >= 6
        and not step.is_item
        and not step.opens_with("so")
        and not step.in_quote
    )


_COULD_BE: Final = re.compile(
    r"(?:it|that|this|there|they|the \w+)(?:'s| is)? (?:could|might|may|possibly|perhaps|maybe) "
    r"(?:also |even |actually |simply |just )?(?:be|mean|refer|have|imply|involve)\b"
)


@alternative
def says_it_might_be(step: StepView) -> bool:
    """Catch "But it might be ..." that weighs one more reading; leave "that might be it" and negations."""
    return (
        bool(_COULD_BE.match(step.lead))
        and step.opens_with("but", "however", "wait")
        and step.word_count >= 8
        and not step.negates
    )


_RECALL: Final = re.compile(
    r"(?:i|perhaps i) (?:think|recall|remember|believe|have heard|found)\b.*\b(?:riddle|puzzle|answer"
    r"|solution|classic"
    r"|similar|standard|famous|common|version|something about)\b"
)


@alternative
def recalls_a_candidate(step: StepView) -> bool:
    """Catch "I recall a riddle like this ..." right after rejections and guesses.

    Leave the recall at the start.
    """
    return bool(_RECALL.match(step.lead)) and step.past.rejections >= 2 and step.past.hedged_lately >= 3


_SECOND_THOUGHT: Final = re.compile(
    r"\b(?:(?:on|upon) (?:second|further|closer) (?:thought|reflection|look|inspection)"
    r"|come to think of it)\b"
)


@alternative
def has_second_thoughts(step: StepView) -> bool:
    """Catch "On second thought, ..."; leave "second" as a number."""
    return bool(_SECOND_THOUGHT.search(step.plain))


_OR_WE_COULD: Final = re.compile(
    r"(?:we|i|you|one|it|they) (?:could|can|might|may) (?:instead|alternatively|just|simply|either|perhaps"
    r"|maybe)\b"
    r"|(?:could|might|may) (?:instead|alternatively|just|simply|either)\b"
    r"|if (?:we|you|i) (?:want|wanted|prefer|need) (?:a|an|to|something) .*(?:could|can|might) \w+"
    r"|a (?:simpler|better|smarter|cleaner|faster|safer) (?:way|option|approach|alternative|choice"
    r"|idea) (?:is|would|might|could|may)"
)


@alternative
def names_a_further_option(step: StepView) -> bool:
    """Catch "We could simply ..." and "If we want ..., we could ...".

    Leave "we can also", which only adds.
    """
    return bool(_OR_WE_COULD.match(step.lead)) and not step.opens_with("so", "then") and step.index >= 4


_SIMPLER: Final = re.compile(
    r"(?:or |maybe |even )?(?:simpler|better|easier|cleaner|safer|quicker|shorter|alternative"
    r"|option)\b[^.]{0,24}:"
)


@alternative
def notes_a_simpler_option(step: StepView) -> bool:
    """Catch the terse "Simpler: ..." and "Better: ..."; leave comparisons in full sentences."""
    return bool(_SIMPLER.match(step.lead)) and step.index >= 4


_WONDER: Final = re.compile(r"i (?:wonder|found|suspect|bet|consider|believe)\b|could(?: it)? be\b")


@alternative
def wonders_about_a_candidate(step: StepView) -> bool:
    """Catch "I wonder if ...", "I found a ..." after the opening; leave conclusions and "so"."""
    return bool(_WONDER.match(step.lead)) and step.index >= 12 and not step.opens_with("so", "then")


_INSTEAD: Final = re.compile(r"\b(?:instead(?: of)?|rather than|in place of)\b")


@alternative
def does_something_instead(step: StepView) -> bool:
    """Catch "instead" or "rather than" in a question or proposal; leave it in conclusions and negations."""
    return (
        bool(_INSTEAD.search(step.plain))
        and step.index >= 4
        and not step.opens_with("so")
        and not step.negates
        and (step.is_question or step.past.hedged_lately >= 2)
    )


@alternative
def proposes_after_a_rejection(step: StepView) -> bool:
    """Catch any hedged step right after a short rejection; leave hedges that follow calm steps."""
    before = step.previous
    return (
        before is not None
        and before.rejects
        and before.word_count <= 12
        and step.proposes
        and not step.opens_with("so", "but")
    )


@alternative
def guesses_amid_guesses(step: StepView) -> bool:
    """Catch a hedged step where half of the last eight guess or reject; leave those that infer with "so"."""
    return step.proposes and step.past.hedged_lately >= 4 and not step.opens_with("so", "then", "and")


@alternative
def guesses_in_a_restless_trace(step: StepView) -> bool:
    """Catch a hedged step where a quarter of the whole trace guesses or rejects.

    Leave "so" and first ideas.
    """
    return step.proposes and step.restless and not step.opens_with("so", "then", "and")


@alternative
def hedges_with_a_negation(step: StepView) -> bool:
    """Catch a guess proposed and dismissed in one step ("Maybe a kite, but it isn't alive").

    Leave pure guesses.
    """
    return step.proposes and step.negates and not step.adversative and step.past.hedged_lately >= 2


@alternative
def guesses_after_an_objection(step: StepView) -> bool:
    """Catch a hedged step right after one that opened with "but", "wait" or "no"; leave "so" and lists."""
    before = step.previous
    return (
        before is not None
        and before.adversative
        and step.proposes
        and not step.is_item
        and not step.opens_with("so", "then", "and")
    )


@alternative
def guesses_after_concluding(step: StepView) -> bool:
    """Catch a hedged step once two conclusions have been drawn; leave hedged consequences ("so ...")."""
    return (
        step.proposes
        and step.past.conclusions >= 2
        and not step.is_item
        and not step.opens_with("so", "then", "and")
    )


@alternative
def guesses_at_length(step: StepView) -> bool:
    """Catch a hedge in a step of at least 16 words after the opening; leave premises and consequences."""
    return (
        step.proposes
        and step.word_count >= 16
        and step.index >= 12
        and not step.is_item
        and not step.opens_with("so", "then", "and")
    )


@alternative
def turns_with_a_hedge(step: StepView) -> bool:
    """Catch "But ... might ..." and "Wait, ... maybe ..."; leave short hedges and those that deny."""
    return step.adversative and step.proposes and step.word_count >= 8 and not step.opens_with("so", "no")


ALTERNATIVE_FUNCTIONS: Final = alternative.functions
"""Functions that vote for an alternative."""

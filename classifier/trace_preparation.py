"""Makes traces ready for the model: checked, split into steps, tokenised."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from classifier.errors import EmptyTraceError, LanguageError, RowError, TraceTypeError
from classifier.inline_reasoning import is_blank
from classifier.model_folder import ModelFolder
from classifier.spans import Span, with_context
from classifier.steps import split_steps
from classifier.surrogates import without_surrogates
from classifier.windows import TokenStream, Window, join_steps, pack_windows

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class PreparedTrace:
    """A trace that the model can read.

    Parameters
    ----------
    spans
        Character offsets of its steps.
    windows
        The windows in which each step stands once to be scored, packed as they are asked for.
    """

    spans: list[Span]
    windows: Iterator[Window]


class TracePreparer:
    """Makes traces ready for one model.

    Parameters
    ----------
    folder
        The model.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self._folder = folder

    def prepare(self, traces: Sequence[object]) -> Iterator[PreparedTrace | RowError]:
        """Prepare traces.

        Parameters
        ----------
        traces
            The chains of thought, or whatever stands in their place.

        Yields
        ------
        PreparedTrace or RowError
            One a trace, in order; for a trace that cannot be scored the reason.
        """
        texts: list[tuple[str, list[Span]]] = []
        outcome: list[RowError | None] = []
        for trace in traces:
            try:
                text = _checked_text(trace)
            except RowError as error:
                outcome.append(error)
            else:
                texts.append((text, split_steps(text)))
                outcome.append(None)
        streams = iter(zip(texts, self._tokenise(texts), strict=True))
        for refusal in outcome:
            if refusal is None:
                (_, spans), stream = next(streams)
                yield self._prepared(spans, stream)
            else:
                yield refusal

    def windows_of_spans(self, trace: str, spans: Sequence[Span]) -> Iterator[Window]:
        """Return the windows in which given steps of one trace are scored.

        Parameters
        ----------
        trace
            The whole trace; what stands before and between the spans is read as context.
        spans
            Character offsets, ascending and not overlapping.

        Raises
        ------
        OptionError
            If the spans do not fit the trace.
        """
        text = without_surrogates(trace)
        pieces, scored = with_context(text, spans)
        (stream,) = self._tokenise([(text, pieces)])
        return pack_windows(stream, self._folder.layout, np.array(scored, dtype=np.bool_))

    def _prepared(self, spans: list[Span], stream: TokenStream) -> PreparedTrace | RowError:
        unknown = int((stream.tokens == self._unknown_id).sum())
        known_or_not = max(1, len(stream.tokens) - len(spans))
        if unknown > self._folder.unknown_token_limit * known_or_not:
            return LanguageError(
                f"{unknown / known_or_not:.0%} of the trace's tokens are unknown to the model, which reads "
                f"{', '.join(self._folder.card.get('languages', ['en']))}; leave such traces out, "
                "or train a model for them"
            )
        return PreparedTrace(spans, pack_windows(stream, self._folder.layout))

    def _tokenise(self, texts: Sequence[tuple[str, Sequence[Span]]]) -> list[TokenStream]:
        steps = [text[start:end] for text, spans in texts for start, end in spans]
        encodings = self._tokenizer.encode_batch_fast(steps, add_special_tokens=False)
        streams = []
        position = 0
        for _, spans in texts:
            after = position + len(spans)
            streams.append(join_steps([one.ids for one in encodings[position:after]], self._folder.layout))
            position = after
        return streams

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self._folder.tokenizer_file))

    @cached_property
    def _unknown_id(self) -> int:
        unknown = self._tokenizer.token_to_id("[UNK]")
        return -1 if unknown is None else int(unknown)


def _checked_text(trace: object) -> str:
    if not isinstance(trace, str):
        given = "null" if trace is None else type(trace).__name__
        raise TraceTypeError(f"the trace is {given}; expected a string")
    if is_blank(trace):
        raise EmptyTraceError("the trace is empty or has no visible character; leave the row out")
    return without_surrogates(trace)

"""Every exception that the package raises on purpose.

The tree::

    BranchingError
    ├── UsageError               the call itself is wrong: exit code 2
    │   ├── OptionError          an option or argument has a value that cannot be used
    │   ├── InputFileError       an input is missing, unreadable or not of a known format
    │   ├── OutputFileError      an output exists already, or cannot be written
    │   └── DependencyError      a package that this needs is missing or installed twice (also an ImportError)
    ├── EngineError              an engine that spreads the scoring over workers gives up
    ├── EndpointError            a scoring service cannot be reached, or refuses a request
    ├── ModelError               a model folder is incomplete, changed or of another version
    │   └── ProviderError        the device asked for is not there
    └── RowError                 one row or trace cannot be scored; the others can
        ├── RowFormatError       the row cannot be parsed (not JSON, invalid UTF-8, not an object)
        ├── SchemaError          no known schema fits, or a column has a wrong type
        ├── AmbiguousRowError    several columns could be the trace
        ├── NoReasoningError     the schema is known but the row holds no reasoning
        ├── EmptyTraceError      the trace has no visible character
        ├── TraceTypeError       the trace is null or not a string
        ├── TraceLengthError     the trace is longer than the limit that was set
        └── LanguageError        too many unknown tokens for the model to read the trace
"""

from typing import ClassVar


class BranchingError(Exception):
    """Base of every error that this package raises on purpose."""


class UsageError(BranchingError):
    """The call itself is wrong; nothing was written."""


class OptionError(UsageError, ValueError):
    """An option or argument has a value that cannot be used."""


class InputFileError(UsageError):
    """An input is missing, unreadable or not of a known format."""


class OutputFileError(UsageError):
    """An output exists already or cannot be written."""


class DependencyError(UsageError, ImportError):
    """A package that this needs is missing, or two that exclude each other are installed."""


class EngineError(BranchingError):
    """An engine that spreads the scoring over workers gives up."""


class EndpointError(BranchingError):
    """A scoring service cannot be reached, or refuses a request."""


class ModelError(BranchingError):
    """A model folder is incomplete, changed or made for another version."""


class ProviderError(ModelError):
    """The device or execution provider asked for is not there."""


class RowError(BranchingError, ValueError):
    """One row or trace cannot be scored; the others can.

    `error_type` is the word that stands in front of the message in `branch_error` and in the
    service's `error_type`.
    """

    error_type: ClassVar[str] = "row"

    @property
    def column_text(self) -> str:
        """Return the text for the `branch_error` column: the error type, a colon, the message."""
        return f"{self.error_type}: {self}"


class RowFormatError(RowError):
    """The row cannot be parsed."""

    error_type = "format"


class SchemaError(RowError):
    """No known schema fits the row, or a column has a wrong type."""

    error_type = "schema"


class AmbiguousRowError(SchemaError):
    """Several columns of the row could be the trace."""

    error_type = "ambiguous"


class NoReasoningError(RowError):
    """The row's schema is known, but it holds no reasoning."""

    error_type = "no_reasoning"


class EmptyTraceError(RowError):
    """The trace has no visible character."""

    error_type = "empty"


class TraceTypeError(RowError, TypeError):
    """The trace is null or not a string."""

    error_type = "type"


class TraceLengthError(RowError):
    """The trace is longer than the limit that was set."""

    error_type = "length"


class LanguageError(RowError):
    """Too many unknown tokens for the model to read the trace."""

    error_type = "language"

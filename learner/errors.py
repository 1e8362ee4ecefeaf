"""What can go wrong in the learner itself.

LearnerError
├── UnknownNameError   a setting chooses an implementation that does not exist; names those that do
└── NoVerdictError     a judge that asks something outside got no answer; it is asked again
"""

from typing import Final

# What a mistake of ours raises at one input, and at the same input again. Nothing that may be
# better at the next try is among them, and nothing that tells a process to end.
FAULTS: Final = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip


class LearnerError(Exception):
    """Root of the errors that this package raises on purpose."""


class UnknownNameError(LearnerError):
    """A setting chooses an implementation that does not exist."""


class NoVerdictError(LearnerError):
    """What a judge asks outside of this process gave no answer that counts."""

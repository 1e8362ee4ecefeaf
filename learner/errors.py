"""What can go wrong in the learner itself.

LearnerError
├── UnknownNameError   a setting chooses an implementation that does not exist; names those that do
└── NoVerdictError     a judge that asks something outside got no answer; it is asked again
"""


class LearnerError(Exception):
    """Root of the errors that this package raises on purpose."""


class UnknownNameError(LearnerError):
    """A setting chooses an implementation that does not exist."""


class NoVerdictError(LearnerError):
    """What a judge asks outside of this process gave no answer that counts."""

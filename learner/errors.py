"""What can go wrong in the learner itself.

LearnerError
└── UnknownNameError   a setting chooses an implementation that does not exist; names those that do
"""


class LearnerError(Exception):
    """Root of the errors that this package raises on purpose."""


class UnknownNameError(LearnerError):
    """A setting chooses an implementation that does not exist."""

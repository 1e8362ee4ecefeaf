"""What can go wrong while the parts are assembled.

DeployError               one sentence on stderr and exit code 2, never a trace
├── SettingsError         an unknown, unreadable or contradictory setting; names it
├── PortInUseError        somebody else listens where we would
├── HomeError             the home cannot be written; names it
├── ChildFailedError      the agent cannot start, or does not stay up
├── NotRunningError       no agent answers, and the command needs one
├── RefusedError          the running agent refused what was asked
├── NoAnswerError         the running agent was asked and did not answer: it may have been done
├── BaseMeantError        a version is meant that is the base: it has no recipe
├── ForgetError           a principal that is none, or of whom nothing is known
├── MissingExtraError     a package that is not installed; names the extra that has it
├── OutputError           a file or folder that cannot be written or drawn, or was used before
└── DemoError             the demo's services do not run, or its picture cannot be drawn
"""


class DeployError(Exception):
    """Root of the errors that this package raises on purpose; the message says what to do."""


class SettingsError(DeployError):
    """An unknown, unreadable or contradictory setting."""


class PortInUseError(DeployError):
    """Somebody else listens on the port."""


class HomeError(DeployError):
    """The home cannot be written."""


class ChildFailedError(DeployError):
    """The agent cannot start, or does not stay up."""


class NotRunningError(DeployError):
    """No agent answers on the console's port."""


class RefusedError(DeployError):
    """The running agent refused what was asked."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        """status: of the HTTP answer; 0 when what answered was no console"""
        super().__init__(message)
        self.status = status


class NoAnswerError(DeployError):
    """The running agent was asked and did not answer: it may have been done."""


class BaseMeantError(DeployError):
    """A version is meant that is the base: it has no recipe."""


class ForgetError(DeployError):
    """A principal that is none, or of whom nothing is known."""


class MissingExtraError(DeployError):
    """A package that is not installed; the message names the extra that has it."""


class OutputError(DeployError):
    """A file or folder cannot be written, was used before, or is of no kind that can be drawn."""


class DemoError(DeployError):
    """The demo's services do not run, or its picture cannot be drawn."""

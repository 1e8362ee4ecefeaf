"""What answers a request: a version of a line, or one member of a generation on top of it.

Whatever depends on the weights that answered is keyed by this: what holds weights in memory, what
is kept of a prompt, a token, a turn, a metric.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Variant:
    """A version of a line, and the member of a generation on it that answers, if one does."""

    line: str
    version: str
    member: int = -1  # the member's number in its generation; -1: the version itself

    def __str__(self) -> str:
        """The name in logs and metrics.

        >>> str(Variant("main", "1f2e")), str(Variant("main", "1f2e", 3))
        ('main@1f2e', 'main@1f2e#3')
        """
        return f"{self.line}@{self.version}" + (f"#{self.member}" if self.member >= 0 else "")

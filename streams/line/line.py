"""Folds the topic `rollouts` into what serves a line: everybody who reads it gets the same answer.

The first record whose seq is the last one's plus one wins; every other of that seq, and one that
skips ahead, is ignored by all readers alike. A rollback goes back along the versions that served,
so a second one goes back further, and never forward to what was taken back.

Knows nothing of weights, threads or logs.
"""

from dataclasses import dataclass, field, replace

from streams.records import Rollout


@dataclass(frozen=True, slots=True)
class Line:
    """What serves a line, and what served before it."""

    name: str
    served: tuple[str, ...]  # oldest first, what was taken back left out; never empty
    seq: int = 0
    since_ms: int = 0
    verb: str = field(default="promote")

    @property
    def version(self) -> str:
        """The version that serves."""
        return self.served[-1]

    @property
    def previous(self) -> str | None:
        """The version that a rollback takes back into service; None at the base."""
        return self.served[-2] if len(self.served) > 1 else None

    def take(self, rollout: Rollout) -> "Line":
        """Give the line after a rollout; the same line when the rollout does not count.

        >>> line = Line("main", ("base",))
        >>> line.take(_rollout(seq=1, version="a")).take(_rollout(seq=1, version="b")).version
        'a'
        """
        if rollout.line != self.name or rollout.seq != self.seq + 1:
            return self
        served = (*self.served, rollout.version)
        if rollout.verb == "rollback" and rollout.version in self.served:
            served = self.served[: _last(self.served, rollout.version) + 1]
        elif rollout.version == self.version:
            served = self.served
        return replace(
            self,
            served=served,
            seq=rollout.seq,
            since_ms=rollout.created_ms,
            verb=rollout.verb,
        )


def _last(served: tuple[str, ...], version: str) -> int:
    return len(served) - 1 - served[::-1].index(version)


def _rollout(*, seq: int, version: str) -> Rollout:
    """Make a promotion, for the examples above."""
    return Rollout(
        id=f"{seq}{version}",
        line="main",
        seq=seq,
        version=version,
        previous="",
        state="completed",
        verb="promote",
        reason="",
        who="",
        created_ms=0,
    )

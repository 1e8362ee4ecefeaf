"""What tells spans: one call a stage, when it is over. Never waits, never raises.

Knows nothing of what the stages are.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from streams.trace.places import Place

Value = str | int | float | bool


class Tracer(Protocol):
    """Takes spans. Any thread may tell one."""

    @property
    def on(self) -> bool:
        """Whether anybody wants them: where not, nothing has to be worked out for one."""
        ...

    def span(
        self,
        name: str,
        place: Place,
        *,
        began_s: float,
        ended_s: float,
        parent: Place | None = None,
        links: Sequence[Place] = (),
        failed: str | None = None,
        attributes: Mapping[str, Value | None] | None = None,
    ) -> None:
        """Tell a stage that is over.

        began_s, ended_s: Unix seconds
        parent: the span in whose trace it stands; None: it begins the trace
        links: other spans that it came of
        failed: why it did not end well; None: it did
        attributes: what is known of it, by name; None as a value: unknown
        """
        ...

    def close(self) -> None:
        """Send what is left, within a few seconds."""
        ...


class NoTracer:
    """Nobody wants spans."""

    on = False

    def span(self, name: str, place: Place, **_: object) -> None:
        """Tell nobody."""

    def close(self) -> None:
        """Nothing is left."""


NO_TRACER: Tracer = NoTracer()

"""Builds what may be decided for next, so that a decision for it only flips.

At most one version is built ahead: a candidate that was announced when it was made, while the gate
asks it, or one that waits for an operator. It answers nobody, and no request can name it. What is
withdrawn is let go, and nothing said of it; what cannot be built is said, and what serves is not
touched.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future

from agent.watch.events import Events
from agent.watch.metrics import Metrics
from kernels.memory import give_back
from kernels.version.build import Built
from streams.records import Recipe

# Told of each version built ahead, and why it could not be; None: it is in memory.
Told = Callable[[str, BaseException | None], None]


class Ahead:
    """The version that is built before it is decided for. Any thread may call every method."""

    def __init__(self, builder: Executor, build: Callable[[Recipe], Built]) -> None:
        """Build nothing yet.

        builder: whose thread builds
        build: builds the version that a recipe leads to
        """
        self._builder, self._build = builder, build
        self._lock = threading.Lock()
        # The version, its build, and whether it was let go: then nobody is told of it.
        self._building: tuple[str, Future[Built], threading.Event] | None = None

    def want(self, recipe: Recipe | None, told: Told) -> None:
        """Begin to build a version, unless it has been begun; let go of every other one.

        recipe: what leads to it; None: nothing is built ahead
        """
        version, let_go = recipe.version if recipe else None, threading.Event()
        with self._lock:
            known, self._building = self._building, None
            if known is not None and known[0] == version:
                self._building = known
                return
            if recipe is not None and version is not None:
                building = self._builder.submit(self._build, recipe)
                self._building = (version, building, let_go)
        if known is not None:
            known[2].set()
            cancelled = known[1].cancel()
            del known
            if not cancelled:
                self._builder.submit(give_back)
        if version is not None:
            building.add_done_callback(
                lambda done: None if let_go.is_set() else told(version, done.exception())
            )

    def take(self, version: str) -> Built | None:
        """Return a version that has been built ahead, or is being built; None: it is not here."""
        with self._lock:
            if self._building is None or self._building[0] != version:
                return None
            (_, building, _), self._building = self._building, None
        return None if building.exception() is not None else building.result()


def telling(events: Events, metrics: Metrics) -> Told:
    """Return what makes an event of each version built ahead, and counts what failed."""

    def told(version: str, failed: BaseException | None) -> None:
        if failed is None:
            events.add("ahead", f"{version} is in memory, should it be decided for")
            return
        metrics.failed_swaps.labels(type(failed).__name__).inc()
        events.add("ahead-failed", f"{version}, which may be decided for, failed: {failed!r}")

    return told

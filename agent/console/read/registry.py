"""Every section of the console, by the name that pages and programs know it by.

A section is a function that returns JSON, newest first and bounded, so that a reading costs a few
milliseconds however long the history is.
"""

from collections.abc import Callable, Mapping

from sqlmodel import Session

from agent.console.ports import Service
from agent.console.read import (
    agent,
    forgotten,
    generations,
    rollouts,
    trials,
)
from agent.console.read.heard import Hearing
from agent.console.read.learner import Learners
from agent.console.read.masks import Masks
from agent.console.read.turns import Turns
from agent.console.read.versions import VersionRows
from agent.console.read.view import Value, View
from agent.watch.lessons import lessons

# From memory: shown whatever else is away.
OF_AGENT: Mapping[str, Callable[[Service], Value]] = {
    "serving": agent.serving,
    "decided": agent.decided,
    "spool": agent.spool,
    "events": agent.events,
    "tools": agent.tools,
}


def of_store() -> dict[str, Callable[[Session, View], Value]]:
    """What the store tells. Some sections remember what never changes: each console has its own."""
    return {
        "turns": Turns().read,
        "generations": generations.read,
        "versions": VersionRows().read,
        "bases": rollouts.bases,
        "rollouts": rollouts.read,
        "trials": trials.read,
        "forgotten": forgotten.read,
        "learner": Learners().read,
        "lessons": lambda session, view: list(lessons(session, view.lines)),
        "heard": Hearing().read,
        "masks": Masks().read,
    }


# Lists that can also be asked for alone: GET /operator/{section}.
LISTED = ("versions", "generations", "turns", "lessons", "rollouts", "trials", "forgotten")

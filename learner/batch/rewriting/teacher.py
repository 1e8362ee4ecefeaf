"""What lessons are prepared with, and what is kept of a rewrite.

Knows nothing of how either is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kernels.contract import Backend
from learner.serving import Serving
from learner.settings import LearnerSettings

# TurnRow.target: hint, version (the teacher), token_ids (empty: no lesson), logprobs (of these, the
# teacher's), made (in what way), text, reason (why there is no lesson; empty: there is one), proof
# (what was found, nats a token; none: nothing), proved (whether a lesson had to be)
Target = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Teacher:
    """The serving version, and what else lessons are prepared with."""

    serving: Serving
    settings: LearnerSettings
    backend: Backend
    pause: Callable[[], None]

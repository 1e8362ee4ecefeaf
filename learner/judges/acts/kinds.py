"""What a clause can be, and what a rule is that tells it."""

from collections.abc import Callable
from typing import Literal

from learner.judges.acts.part import Part

# denied: a complaint's words, denied · declined: needs no more help · doubt: asks whether it is
# right · aside: only sounds like one of the others · task: something new to do · order: something
# to do, with this reply or another · deny: says no · empty: says nothing yet · other: a statement
Kind = Literal["complaint", "wish", "praise", "thanks", "denied", "declined", "doubt", "aside",
               "question", "task", "order", "deny", "empty", "other"]  # fmt: skip
Found = tuple[Kind, str] | None
Rule = Callable[[Part], Found]

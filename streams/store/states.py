"""The states of turns and generations, as the store's rows hold them: plain strings, typed here.

    turn        open ─▶ linked ─▶ judged; open ─▶ closed when nobody goes on; untrained when it must
                not be learned from; expired or forgotten when its words are gone
    generation  planned ─▶ released, held or void; one that was built again without somebody is
                rebuilt, and its last one passed or held by the gate

The states of a rollout are the wire's (streams.records.State).
"""

from typing import Final, Literal

TurnState = Literal["open", "linked", "judged", "closed", "untrained", "expired", "forgotten"]

OPEN: Final = "open"
LINKED: Final = "linked"
JUDGED: Final = "judged"
CLOSED: Final = "closed"
UNTRAINED: Final = "untrained"
EXPIRED: Final = "expired"
FORGOTTEN: Final = "forgotten"

# Turns that still say something; any other has been emptied.
SPEAKING: Final[tuple[TurnState, ...]] = (OPEN, LINKED, JUDGED, CLOSED, UNTRAINED)

GenerationState = Literal["planned", "released", "held", "void", "rebuilt", "passed"]

PLANNED: Final = "planned"
RELEASED: Final = "released"
HELD: Final = "held"
VOID: Final = "void"
REBUILT: Final = "rebuilt"
PASSED: Final = "passed"

# What the gate has let through: by the learner, or after it was built again.
PROMOTABLE: Final[tuple[GenerationState, ...]] = (RELEASED, PASSED)

"""The states of turns and generations, as the store's rows hold them: plain strings, typed here.

    turn        open ─▶ linked ─▶ judged; open ─▶ closed when nobody goes on; untrained when it must
                not be learned from; expired or forgotten when its words are gone. Where a state is
                the end, a reason says why: a turn with a reason scores no generation (any more)
    generation  planned ─▶ released, held or void; one that was built again without somebody is
                rebuilt, and its last one passed or held by the gate; withdrawn where nothing was
                learned and a lesson that helped nobody was set aside

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

Reason = Literal[
    "opted out",
    "side turn",
    "a client's chore",
    "cut",
    "asked again",
    "nobody went on",
    "teaches nothing",
    "used up",
    "stale",
    "crowded out",
    "no company",
    "rated too late",
]

# Of untrained turns:
OPTED_OUT: Final = "opted out"  # the client asked not to be learned from
SIDE: Final = "side turn"  # marked by the client
CHORE: Final = "a client's chore"
CUT: Final = "cut"  # cancelled before its end, by whomever
# Of closed ones:
ASKED_AGAIN: Final = "asked again"  # it did not arrive whole, and the client sent the request again
IDLE: Final = "nobody went on"
# Of judged ones; these leave the planner's window:
TEACHES_NOTHING: Final = "teaches nothing"
USED_UP: Final = "used up"  # it has scored all the generations that it may
STALE: Final = "stale"  # its version is too far behind the one that serves
CROWDED_OUT: Final = "crowded out"  # fresher and stronger ones of the same principal wait
NO_COMPANY: Final = "no company"  # weak evidence, and no strong verdict came in time

# Of expired and forgotten ones:
RATED_TOO_LATE: Final = "rated too late"  # feedback came when its words were gone

GenerationState = Literal["planned", "released", "held", "void", "rebuilt", "passed", "withdrawn"]

PLANNED: Final = "planned"
RELEASED: Final = "released"
HELD: Final = "held"
VOID: Final = "void"
REBUILT: Final = "rebuilt"
PASSED: Final = "passed"
WITHDRAWN: Final = "withdrawn"

# What the gate has let through: by the learner, or after it was built again.
PROMOTABLE: Final[tuple[GenerationState, ...]] = (RELEASED, PASSED)

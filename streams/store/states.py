"""The states of turns and generations, as the store's rows hold them: plain strings, typed here.

    turn        open ─▶ linked ─▶ judged; open ─▶ closed when nobody goes on; untrained when it must
                not be learned from; expired or forgotten when its words are gone. Where a state is
                the end, a reason says why: a turn with a reason scores no generation (any more)
    generation  planned ─▶ released, held or void; one that was built again without somebody is
                rebuilt, and its last one passed or held by the gate; withdrawn where nothing was
                learned and a lesson that helped nobody was set aside

The states of a rollout are the wire's (streams.records.State).
"""

from collections.abc import Mapping
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

# What an emptied turn lacks: hashes prove a short text to anybody who guesses it.
WITHOUT_LINKS: Final[Mapping[str, None]] = dict.fromkeys(
    (
        "talk_key", "reply_key", "asked_key", "before_key", "echo_key", "unlinked",
        "next_turn", "next_layer", "next_confidence", "wish",
    )
)  # fmt: skip

Reason = Literal[
    "opted out",
    "side turn",
    "a client's chore",
    "cut",
    "unseen",
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
UNSEEN: Final = "unseen"  # a candidate's reply beside the one that was shown
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

# Evidence of a judgement that is none yet: its judge is to be asked (learner.judges.slow.later).
WAITING: Final = "waits for its judge"
# Evidence of feedback that has overtaken its turn, and waits for it (learner.verdicts).
EARLY: Final = "feedback, before its turn"

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

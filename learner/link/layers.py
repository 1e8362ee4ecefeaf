"""The evidence by which a reply in a request is known as one of ours, in layers.

From the surest to the weakest, each with the confidence that a link by it has:

    named    1.00  the client names the reply that it goes on from (previous_response_id)
    chain    1.00  every message up to the reply is the same
    talk     0.98  every message but those of system and developer
    session  0.95  the reply, in a session that the client has named
    pair     0.90  what the user said last, and the reply to it
    wrapped  0.80  the reply, and one question holds the other, or both end with one: a retriever
                   wrapped it
    cut      0.75  what the user said last, perhaps wrapped anew, and parts of the reply, or the
                   reply in other signs: it was cut, trimmed, rendered, or has something around it
    alone    0.60  the reply alone: it is long, or no question is shown before it, and it is the
                   principal's newest, of the last hour

Texts are compared as normal text (learner.link.normal) from `talk` on; where two replies agree as
normal text only, the link is of the layer `normal`, 0.85. From `pair` on, the reply must have been
given within a day, and the reply before it must be the same where the request shows one (a mark for
what was left out shows none), unless the reply is long: clients that compact a history put replies
of their own into it, and strangers say the same few words.

In a session that the client has named, a turn of that session that asked and said the same comes
before all others. Where one only said the same there, and the whole conversation is another
session's, what was asked decides (learner.link.follow). The surest layer that finds a turn decides.
If it finds two that it cannot tell apart, nothing is linked: no verdict is better than one on
another reply. Two turns with the same chain are no such case: they asked and said the same, so that
the newest stands for both. Of two that are the same but for what the system said (`talk`), one may
be out of the question: it is old, did not arrive, or something else follows it.

Knows nothing of tables.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from learner.link.alike import comes_from, holds
from learner.link.anew import asked_anew
from learner.link.letters import bare
from learner.link.normal import normal, spoken
from learner.link.pieces import Echo, is_same_call

Layer = Literal["named", "chain", "talk", "session", "pair", "wrapped", "cut", "alone", "normal"]

CONFIDENCE: Final[dict[Layer, float]] = {
    "named": 1.0, "chain": 1.0, "talk": 0.98, "session": 0.95, "pair": 0.9, "normal": 0.85,
    "wrapped": 0.8, "cut": 0.75, "alone": 0.6,
}  # fmt: skip
_ORDER: Final[tuple[Layer, ...]] = (
    "named", "chain", "talk", "session", "pair", "wrapped", "cut", "alone",
)  # fmt: skip
# Evidence that rests on texts alone holds for a day: later the same words are said by chance.
WITHIN_MS: Final = 24 * 60 * 60 * 1000
# A reply of so many characters is not given twice by chance, whatever was asked.
ALONE_CHARS: Final = 64
# Of a shorter one that stands without its question, so long after it is gone on with at most.
SOON_MS: Final = 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A turn that a reply in a request may be, as far as its row's short columns tell."""

    id: str
    key: str
    talk_key: str | None
    reply_key: str | None
    asked_key: str | None
    echo_key: str | None
    session: str
    created_ms: int
    cut: bool  # cancelled before its end


@dataclass(frozen=True, slots=True)
class Texts:
    """What a candidate says in full; read only where hashes do not decide."""

    reply: str
    asked: str
    calls: tuple[str, ...] = ()  # of tools, comparable (learner.link.pieces)
    before: str = ""  # what stood beside earlier calls in answer to the same words


@dataclass(frozen=True, slots=True)
class Asking:
    """The request whose replies are looked up."""

    created_ms: int
    session: str
    named: bool  # the client has named the session
    follows: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What the layers came to for one reply."""

    candidate: Candidate | None = None
    layer: Layer = "chain"
    twins: tuple[Candidate, ...] = ()  # turns that this evidence does not tell apart

    @property
    def ambiguous(self) -> bool:
        """Whether one of several turns is meant, and nothing tells which."""
        return bool(self.twins)


def layer_by_hashes(echo: Echo, turn: Candidate, asking: Asking, *, last: bool) -> Layer | None:
    """Return the surest layer by which an echo is this turn's reply, without reading its texts.

    last: the echo is the request's last reply, which a named session or turn is about
    """
    if last and asking.follows == turn.id:
        return "named"
    if echo.key == turn.key:
        return "chain"
    if turn.talk_key is None or turn.created_ms > asking.created_ms:
        return None
    if echo.talk_key == turn.talk_key:
        return "talk"
    if echo.reply_key is None or echo.reply_key != turn.reply_key:
        return None
    if asking.named and turn.session == asking.session:
        return "session"
    same_question = echo.asked_key is not None and echo.asked_key == turn.asked_key
    return "pair" if same_question and _may_be(echo, turn, asking) else None


def layer_by_texts(echo: Echo, turn: Candidate, texts: Texts, asking: Asking) -> Layer | None:
    """Return the layer by which an echo is this turn's reply, where its hashes alone do not say."""
    if turn.created_ms > asking.created_ms or not is_lately(turn, asking):
        return None
    if not normal(spoken(echo.reply)) and not echo.calls:
        return None
    same_question = echo.asked_key is not None and echo.asked_key == turn.asked_key
    if echo.reply_key == turn.reply_key:
        if _may_be(echo, turn, asking) and asks_the_same(echo, texts):
            return "wrapped"
        return "alone" if _is_long(echo) else None
    if not _may_be(echo, turn, asking) or not _is_made_of(echo, turn, texts):
        return None
    same_session = asking.named and turn.session == asking.session
    return "cut" if same_question or same_session or asks_the_same(echo, texts) else None


def asks_the_same(echo: Echo, texts: Texts) -> bool:
    """Return whether one question holds the other, or both hold a third in other surroundings."""
    if holds(echo.asked, texts.asked):
        return True
    said_chars = len(normal(spoken(echo.reply)))
    return asked_anew(echo.asked, texts.asked, said_chars=said_chars)


def _is_made_of(echo: Echo, turn: Candidate, texts: Texts) -> bool:
    """Return whether an echo is what a client has made of a reply: less of it, or more."""
    if echo.calls:
        said = not echo.reply.strip() or comes_from(echo.reply, texts.reply, cut=turn.cut)
        return said and all(
            any(is_same_call(shown, made) for made in texts.calls) for shown in set(echo.calls)
        )
    if texts.before and bare(echo.reply) == bare(f"{texts.before}\n{texts.reply}"):
        return True
    whole = normal(spoken(texts.reply))
    if len(echo.parts) > 1 and whole and whole in map(normal, map(spoken, echo.parts)):
        return True
    return comes_from(echo.reply, texts.reply, cut=turn.cut)


def choose(
    found: Iterable[tuple[Layer, Candidate]], echo: Echo, asking: Asking, *, last: bool
) -> Choice:
    """Return the turn that the surest layer finds; none when it cannot tell two apart.

    last: as for `layer_by_hashes`; in a session that the client has named, the last reply of the
        request is the newest that was given there
    """
    pairs = list(found)
    if twins := contested(pairs, echo, asking):
        return Choice(layer="session", twins=twins)
    if asking.named:
        pairs = [pair for pair in pairs if _is_at_home(*pair, echo, asking)] or pairs
    by_layer: dict[Layer, list[Candidate]] = {}
    for layer, candidate in pairs:
        by_layer.setdefault(layer, []).append(candidate)
    for layer in _ORDER:
        if layer in by_layer:
            likeliest = _likeliest(by_layer[layer], echo, asking)
            alike = len({candidate.key for candidate in likeliest}) == 1
            if not alike and not (layer == "session" and last):
                return Choice(layer=layer, twins=tuple(likeliest))
            return Choice(newest(likeliest, asking.created_ms), layer)
    return Choice()


def contested(
    found: Iterable[tuple[Layer, Candidate]], echo: Echo, asking: Asking
) -> tuple[Candidate, ...]:
    """Return turns that said the same in the named session, where the whole talk is another's.

    The client may have wrapped the question there, or go on with a conversation under a new name.
    """
    pairs = list(found)
    if not asking.named or any(_is_at_home(*pair, echo, asking) for pair in pairs):
        return ()
    if not any(layer in ("chain", "talk") for layer, _ in pairs):
        return ()
    return tuple(candidate for layer, candidate in pairs if layer == "session")


def _is_at_home(layer: Layer, turn: Candidate, echo: Echo, asking: Asking) -> bool:
    """Return whether a turn asked and said the same in the session that the client has named.

    Then the same words in another one are another conversation, though its clock shows the same.
    """
    same_question = echo.asked_key is not None and echo.asked_key == turn.asked_key
    whole = layer in ("chain", "talk") or (layer == "session" and same_question)
    return layer == "named" or (turn.session == asking.session and whole)


def _may_be(echo: Echo, turn: Candidate, asking: Asking) -> bool:
    """Return whether time and the reply before it allow that an echo is this turn's."""
    if not is_lately(turn, asking):
        return False
    unseen = turn.talk_key is None  # what came before was named, and not sent
    return unseen or echo.before_key in (None, turn.echo_key) or _is_long(echo)


def is_lately(turn: Candidate, asking: Asking) -> bool:
    """Return whether a turn is recent enough for evidence that rests on texts alone."""
    return asking.created_ms - turn.created_ms <= WITHIN_MS


def may_be_newest(echo: Echo, turn: Candidate, asking: Asking) -> bool:
    """Return whether an echo may be the principal's newest turn though it is short.

    No question or reply before it is shown that would tell it.
    """
    shows_more = echo.asked_key is not None or echo.before_key is not None
    soon = asking.created_ms - turn.created_ms <= SOON_MS
    return not shows_more and soon and echo.reply_key is not None


def _is_long(echo: Echo) -> bool:
    return len(normal(spoken(echo.reply))) >= ALONE_CHARS


def _likeliest(turns: Sequence[Candidate], echo: Echo, asking: Asking) -> list[Candidate]:
    """Return the turns of a layer that most else speaks for: session, question, reply before."""

    def speaks(turn: Candidate) -> tuple[bool, bool, bool]:
        return (
            turn.session == asking.session,
            echo.asked_key is not None and echo.asked_key == turn.asked_key,
            echo.before_key is not None and echo.before_key == turn.echo_key,
        )

    most = max(map(speaks, turns))
    return [turn for turn in turns if speaks(turn) == most]


def newest(turns: Sequence[Candidate], created_ms: int) -> Candidate:
    """Return the newest turn from before a moment, or the oldest from after it."""
    earlier = [turn for turn in turns if turn.created_ms <= created_ms]
    if earlier:
        return max(earlier, key=lambda turn: (turn.created_ms, turn.id))
    return min(turns, key=lambda turn: (turn.created_ms, turn.id))

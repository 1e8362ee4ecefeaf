"""What a request follows: which of its replies are turns of ours, and how sure that is.

From the newest reply in the request back, until one is found that an earlier request has been
linked to already: those before it were looked up then.

Reads rows, writes nothing.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from sqlmodel import Session

from learner.link.alike import holds
from learner.link.conversation import Link, outweighs, retries
from learner.link.layers import (
    CONFIDENCE,
    Asking,
    Candidate,
    Layer,
    asks_the_same,
    choose,
    contested,
    is_lately,
    layer_by_hashes,
    layer_by_texts,
    may_be_newest,
    newest,
)
from learner.link.lookup import Known, Lookup
from learner.link.normal import normal
from learner.link.pieces import Echo, after_reply, echoes_of, pieces_of
from streams import chain
from streams.records import Message, Turn
from streams.store.states import UNTRAINED

# Replies of a request that are looked up at most: those before them were followed long ago.
ECHOES: Final = 8
# A branch shares the chain of groups up to the reply that both go on from.
_BRANCH: Final[Layer] = "talk"

# Evidence that every message up to a reply is the same, or that the client names it.
_WHOLE: Final[tuple[Layer, ...]] = ("named", "chain", "talk")

_Read = Callable[[], Sequence[Known]]

# Why the last reply of a request was linked to no turn, although it seems to be one of ours.
Unlinked = Literal["ambiguous", "unknown"]


@dataclass(slots=True)
class Found:
    """What a request follows.

    no_longer: turns that the request was linked to before a likelier one arrived, or one that is as
        likely
    """

    links: list[Link] = field(default_factory=list)
    no_longer: list[str] = field(default_factory=list)
    unlinked: Unlinked | None = None


def followed(session: Session, request: Turn, *, again: bool = False) -> Found:
    """Return what a request says of turns of its own principal and line.

    again: the request was looked up before, and a turn that it may follow has come in since
    """
    search = _Search(session, request, again=again)
    search.run()
    return search.found


class _Search:
    """One request, and what has been read for it."""

    def __init__(self, session: Session, request: Turn, *, again: bool) -> None:
        self.found, self._again = Found(), again
        self._request, self._lookup = request, Lookup(session, request)
        self._asking = Asking(
            created_ms=request.created_ms,
            session=request.session,
            named=chain.names_session(request),
            follows=request.follows,
        )
        self._of_session = self._lookup.by_session() if self._asking.named else []

    def run(self) -> None:
        """Look everything up."""
        echoes = echoes_of(self._request.messages)
        for place, echo in enumerate(reversed(echoes[-ECHOES:])):
            if not self._follow(echo, last=place == 0):
                break
        if not echoes:
            self._follow_by_name()
        self._branch()
        self._retry()

    def _follow(self, echo: Echo, *, last: bool) -> bool:
        """Link an echo to its turn; False where the echoes before it need no look-up."""
        known, layers = self._look_up(echo, last=last)
        found = [(layer, known[id].candidate) for id, layer in self._meant(known, layers).items()]
        found = self._asked_here(found, echo) or found
        choice = choose(found, echo, self._asking, last=last)
        if choice.ambiguous and choice.layer == "talk":
            choice = replace(choice, candidate=self._one_of(choice.twins, known, echo, last=last))
        if choice.candidate is None:
            if choice.ambiguous or last:  # one of them may have come later than the request
                self._take_back(known, [*layers, *_alone(echo, known)])
            if last and echo.reply_key is not None:
                self.found.unlinked = self._why_not(echo, known)
            return True
        link = self._link(choice.candidate, choice.layer, echo)
        self.found.links.append(link)
        self._take_back(known, [*layers, *_alone(echo, known)], but=link.turn_id)
        turn = known[link.turn_id]
        by_another = turn.following.kind == "reply" and turn.next_turn != self._request.id
        return not by_another or outweighs(link, turn.following)

    def _meant(self, known: dict[str, Known], layers: dict[str, Layer]) -> dict[str, Layer]:
        """Leave out turns that may be, but are not, where others are.

        Those that a later reply of the request is, unless the whole history says otherwise; and a
        step of an answer where a later one was found by the same evidence: clients that keep what
        was shown tell all steps as one reply, and what follows is said of the last.
        """
        linked = {link.turn_id for link in self.found.links}
        left = {id: by for id, by in layers.items() if by in _WHOLE or id not in linked}
        return {
            id: layer
            for id, layer in left.items()
            if all(left.get(step) != layer for step in _next_steps(id, known))
        }

    def _asked_here(
        self, found: Sequence[tuple[Layer, Candidate]], echo: Echo
    ) -> list[tuple[Layer, Candidate]]:
        """Leave out other sessions where the question was wrapped in the one that is named."""
        here = contested(found, echo, self._asking)
        texts = self._lookup.texts([turn.id for turn in here])
        return [("session", turn) for turn in here if asks_the_same(echo, texts[turn.id])]

    def _one_of(
        self, twins: Sequence[Candidate], known: dict[str, Known], echo: Echo, *, last: bool
    ) -> Candidate | None:
        """Return which of some turns that asked and said the same is meant; None: any may be.

        In the session that the client has named, the newest stands for all. Else the one that the
        request goes on from by way of a later one; else old ones, those that did not arrive and
        those that something else follows are not meant where others are. Where one was told the
        same before, this may be its own conversation again: what was said of it is no new word.
        """
        asking = self._asking
        if asking.named and all(twin.session == asking.session for twin in twins):
            return newest(twins, asking.created_ms)
        linked = {link.turn_id for link in self.found.links}
        twins = [twin for twin in twins if known[twin.id].next_turn in linked] or twins
        lately = [twin for twin in twins if is_lately(twin, asking)] or twins
        if self._was_told(lately if last else twins, known, echo):
            return None
        lost = self._lookup.lost([twin.id for twin in twins])
        for out in (
            {twin.id for twin in twins if twin not in lately},
            lost,
            {twin.id for twin in twins if self._is_followed(known[twin.id])},
        ):
            twins = [twin for twin in twins if twin.id not in out] or twins
        alike = len({twin.key for twin in twins}) == 1
        return newest(twins, asking.created_ms) if alike else None

    def _is_followed(self, turn: Known) -> bool:
        """Return whether a turn was followed earlier, and not by what this request goes on from."""
        ours = {self._request.id, *(link.turn_id for link in self.found.links)}
        followed_ms = turn.following.created_ms
        earlier = followed_ms is not None and followed_ms < self._request.created_ms
        return earlier and turn.next_turn not in ours

    def _was_told(self, twins: Sequence[Candidate], known: dict[str, Known], echo: Echo) -> bool:
        """Return whether somebody said the same of one of some turns in an earlier request."""
        followed = [twin.id for twin in twins if self._is_followed(known[twin.id])]
        told = self._lookup.told(followed).values()
        return any(_is_again(_said(each), _said(echo.after)) for each in told)

    def _take_back(
        self, known: dict[str, Known], found: Collection[str], *, but: str | None = None
    ) -> None:
        """Link no other turn to the request by this echo than the one that is meant, if one is."""
        ours = self._request.id
        self.found.no_longer += [id for id in found if id != but and known[id].next_turn == ours]

    def _look_up(self, echo: Echo, *, last: bool) -> tuple[dict[str, Known], dict[str, Layer]]:
        """Read what an echo may be, the surest first, until a layer finds something."""
        known = {each.candidate.id: each for each in self._of_session}
        layers: dict[str, Layer] = {}
        for surer_follows, read in self._readings(echo, last=last):
            known |= {each.candidate.id: each for each in read()}
            layers = {
                id: layer
                for id, each in known.items()
                if (layer := layer_by_hashes(echo, each.candidate, self._asking, last=last))
            }
            if not self._again and _is_enough(layers, known, echo, surer_follows=surer_follows):
                break
        if layers and not self._again:
            return known, layers
        layers = self._by_texts(echo, known) | layers
        if last and not layers:  # neither what was asked nor what was said came back as it was
            near = {each.candidate.id: each for each in self._lookup.newest()}
            if layers := self._by_texts(echo, near) or self._by_few_words(echo, known, near):
                known |= near
        return known, layers

    def _by_few_words(
        self, echo: Echo, known: dict[str, Known], near: dict[str, Known]
    ) -> dict[str, Layer]:
        """Find a short reply without its question, if it is the newest, and all that said the same.

        What a client greets with is none: it was shown before a turn said it.
        """
        turn = next((each.candidate for each in near.values() if each.state != UNTRAINED), None)
        if turn is None or not may_be_newest(echo, turn, self._asking):
            return {}
        said = [id for id, each in known.items() if each.candidate.reply_key == echo.reply_key]
        if turn.id not in said or self._lookup.lost([turn.id]):
            return {}
        shown = self._lookup.was_shown(echo.reply_key, before_ms=turn.created_ms)
        return {} if shown else dict.fromkeys(said, "alone")

    def _by_texts(self, echo: Echo, known: dict[str, Known]) -> dict[str, Layer]:
        texts = self._lookup.texts(known)
        return {
            id: layer
            for id, each in known.items()
            if (layer := layer_by_texts(echo, each.candidate, texts[id], self._asking))
        }

    def _readings(self, echo: Echo, *, last: bool) -> list[tuple[bool, _Read]]:
        """What to read, and whether surer evidence than a session's words may come after it."""
        lookup, named = self._lookup, self._request.follows if last else None
        readings: list[tuple[bool, _Read]] = []
        if named is not None:
            readings.append((True, lambda: lookup.by_id(named)))
        readings.append((True, lambda: lookup.by_key(echo.key)))
        readings.append((False, lambda: lookup.by_talk(echo.talk_key)))
        reply_key, before_key = echo.reply_key, echo.before_key
        if reply_key is not None and before_key is not None:
            readings.append((False, lambda: lookup.by_two_replies(reply_key, before_key)))
        if reply_key is not None:
            readings.append((False, lambda: lookup.by_reply(reply_key)))
        if (asked_key := echo.asked_key) is not None:
            readings.append((False, lambda: lookup.by_question(asked_key)))
        return readings

    def _why_not(self, echo: Echo, known: dict[str, Known]) -> Unlinked | None:
        """Return why a reply is linked to nothing; None when it need not be one of ours."""
        if any(each.candidate.reply_key == echo.reply_key for each in known.values()):
            return "ambiguous"
        ours = known or self._of_session or self._lookup.by_session()
        return "unknown" if ours else None

    def _link(self, turn: Candidate, layer: Layer, echo: Echo) -> Link:
        if layer in ("talk", "session", "pair") and not self._says_the_same(turn, echo):
            layer = "normal"
        return Link(
            turn.id,
            "reply",
            echo.after,
            self._request.created_ms,
            request_id=self._request.id,
            layer=layer,
            confidence=CONFIDENCE[layer],
        )

    def _says_the_same(self, turn: Candidate, echo: Echo) -> bool:
        """Return whether a reply came back as it was given, but for white space around it."""
        return self._lookup.texts([turn.id])[turn.id].reply.strip() == echo.reply.strip()

    def _follow_by_name(self) -> None:
        """Link a request without a reply in it to the turn that the client goes on from."""
        said = _said(self._request.messages)
        if self._request.follows is None or not said:
            return
        for each in self._lookup.by_id(self._request.follows):
            self.found.links.append(self._plain(each, "reply", said, "named"))

    def _branch(self) -> None:
        """Link the turns that go on from the same reply as the request, and ask something else."""
        pieces = pieces_of(self._request)
        if pieces.before_key is None or pieces.asked_key is None:
            return
        of_session = self._request.follows is None
        if of_session and not self._lookup.may_branch(pieces.before_key):
            return
        messages = self._request.messages
        replies = [n for n, message in enumerate(messages) if message.role == "assistant"]
        said = after_reply(messages, replies[-1] + 1) if replies else _said(messages)
        if not said:
            return
        for each in self._lookup.siblings(pieces.before_key, pieces.asked_key):
            # two conversations that began alike are two
            if of_session and each.candidate.session != self._request.session:
                continue
            self.found.links.append(self._plain(each, "branch", said, _BRANCH))

    def _retry(self) -> None:
        request = self._request
        for tried in self._lookup.same_requests():
            if retries(request, tried):
                link = Link(tried.turn_id, "retry", (), request.created_ms, request.id)
                self.found.links.append(link)

    def _plain(
        self, each: Known, kind: Literal["reply", "branch"], said: tuple[Message, ...], layer: Layer
    ) -> Link:
        return Link(
            each.candidate.id,
            kind,
            said,
            self._request.created_ms,
            request_id=self._request.id,
            layer=layer,
            confidence=CONFIDENCE[layer],
        )


def _is_enough(
    layers: dict[str, Layer], known: dict[str, Known], echo: Echo, *, surer_follows: bool
) -> bool:
    """Return whether what was found needs no further reading.

    The newest turns of a named session are known before anything is read: one that said the same
    is not meant where an older one did, too, in the same conversation or to the same question.
    """
    if any(layer != "session" for layer in layers.values()):
        return True
    asked = (known[id].candidate.asked_key for id in layers)
    return not surer_follows and echo.asked_key is not None and echo.asked_key in asked


def _alone(echo: Echo, known: dict[str, Known]) -> list[str]:
    """Return turns that said this and were linked by that alone: a newer one may have come late."""
    return [
        id
        for id, each in known.items()
        if each.next_layer == "alone" and each.candidate.reply_key == echo.reply_key
    ]


def _next_steps(id: str, known: dict[str, Known]) -> Iterator[str]:
    """Walk from a turn to those that go on from it before the user says anything."""
    seen, asked_key = {id}, known[id].candidate.asked_key
    while (after := known[id].next_turn) in known and after not in seen:
        if known[after].candidate.asked_key != asked_key:
            return
        seen.add(after)
        yield (id := after)


def _is_again(one: Sequence[Message], other: Sequence[Message]) -> bool:
    """Return whether two next states end with one message, which a client may have wrapped anew."""
    for said, again in zip(one[-1:], other[-1:], strict=False):
        if (said.role, said.tool_call_id) == (again.role, again.tool_call_id):
            texts = said.content or "", again.content or ""
            return normal(texts[0]) == normal(texts[1]) or holds(*texts)
    return False


def _said(messages: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(message for message in messages if message.role in ("user", "tool"))

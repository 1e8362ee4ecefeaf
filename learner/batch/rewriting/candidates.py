"""Makes candidates for what the reply of a hinted turn should have been.

The first round is what mostly does: the teacher's greedy reply to the hint as suffix and behind
worked examples, and the reply that was given with the hint's change alone, its first sentence. The
second round is for turns that the first one found nothing for: the greedy reply to the hint as
system text; what begins as the hinted teacher begins and is then continued by the teacher without
the hint, so that the form is the hint's and the rest the question's; what was given, behind that
opening; the first sentence of what was given, gone on with under the hint; and a drawn reply.

A candidate that came to no end within the limit is kept up to its last whole sentence: it teaches
how to go on, and not where to stop.

Nothing is decided here: a candidate may be babble (learner.batch.rewriting.proof decides).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kernels.model.decode import Choose, continued, greedy
from kernels.model.forward import Decoder
from learner.batch.rewriting.placements import Placement
from learner.batch.rewriting.sampling import Draws
from streams.model.open import BaseModel

Tokens = tuple[int, ...]

_FIRST_PLACES: Final[tuple[Placement, ...]] = ("suffix", "example")
# An opening that is taken over ends at the first mark, or here where there is none so soon.
OPENING_TOKENS: Final = 10
FEW_TOKENS: Final = 4
_PAUSE: Final = re.compile(r"[,.;:!?…，。！？、：\n]\s*\Z")
_END: Final = re.compile(r"[.!?…。！？][\"'”’»)\]*_」』]*\s*\Z")
# "No." or "Dr." is no sentence to go on with; Chinese and Japanese put no spaces between words.
_LEAST_CHARS: Final = 8


@dataclass(frozen=True, slots=True)
class Hinted:
    """A judged turn and the hint on it, in tokens."""

    turn_id: str
    prompt: Tokens
    reply: Tokens  # that was given
    asked: Mapping[Placement, Tokens]  # the prompt with the hint; "suffix" is always there
    any_wish: (
        Tokens  # the prompt with a wish that says nothing (learner.batch.rewriting.placements)
    )
    messages: tuple[tuple[str, str | None], ...] = ()  # role and text of the request's


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a reply might have been."""

    made: str  # in what way, in words
    asked: Tokens  # the hinted prompt behind which the teacher is asked for it
    tokens: Tokens  # a stop token at its end, if it came to one


class Writer:
    """Writes candidates with one version."""

    def __init__(
        self,
        base: BaseModel,
        teacher: Decoder,
        *,
        max_tokens: int,
        pause: Callable[[], None],
    ) -> None:
        """Take the version that writes: `teacher`, with the base's tokenizer."""
        self._tokenizer, self._stop_ids, self._end_id = base.tokenizer, base.stop_ids, base.end_id
        self._teacher, self._max_tokens, self._pause = teacher, max_tokens, pause

    def first(self, turns: Sequence[Hinted]) -> list[list[Candidate]]:
        """Return the candidates of the first round, a list a turn, which may be empty."""
        asked = [(turn, place) for turn in turns for place in turn.asked if place in _FIRST_PLACES]
        replies = self._greedy([turn.asked[place] for turn, place in asked])
        found = []
        for turn in turns:
            own = [
                Candidate(place, prompted.asked[place], reply)
                for (prompted, place), reply in zip(asked, replies, strict=True)
                if prompted is turn
            ]
            if self._end_id is not None and (sentence := self.sentence(turn.reply)):
                cut = (*sentence, self._end_id)
                own.append(Candidate("first sentence of the reply", _followed(turn), cut))
            found.append(self._whole(own))
        return found

    def plain(self, turns: Sequence[Hinted]) -> list[Candidate | None]:
        """Return the teacher's greedy reply to each hint at the message's end, as it is."""
        replies = self._greedy([turn.asked["suffix"] for turn in turns])
        return [
            Candidate("suffix", turn.asked["suffix"], reply)
            if not set(reply) <= self._stop_ids
            else None
            for turn, reply in zip(turns, replies, strict=True)
        ]

    def second(
        self, turns: Sequence[Hinted], before: Sequence[Sequence[Candidate]]
    ) -> list[list[Candidate]]:
        """Return the candidates of the second round, a list a turn.

        before: those of the first round
        """
        begun = [
            (number, *each)
            for number, (turn, own) in enumerate(zip(turns, before, strict=True))
            for each in self._beginnings(turn, own)
        ]
        rest = self._greedy([(*read, *start) for _, _, read, start in begun])
        found = [
            [Candidate("drawn", turn.asked["suffix"], each)]
            for turn, each in zip(turns, self._drawn(turns), strict=True)
        ]
        for (number, made, _, start), tokens in zip(begun, rest, strict=True):
            whole = (*start, *tokens)[: self._max_tokens]
            found[number].append(Candidate(made, _followed(turns[number]), whole))
        for turn, own, all_of_it in zip(turns, before, found, strict=True):
            for opening in self._openings(turn, own):
                if not _PAUSE.search(self.text(opening)):
                    continue  # half a clause, and no words that anything may follow
                text = " " + self.text(turn.reply).lstrip()
                reply = self._tokenizer.encode(text, add_special_tokens=False)
                behind = (*opening, *reply)[: self._max_tokens]
                made = "the reply behind the hint's opening"
                all_of_it.append(Candidate(made, _followed(turn), behind))
        return [self._whole(own) for own in found]

    def _beginnings(
        self, turn: Hinted, before: Sequence[Candidate]
    ) -> list[tuple[str, Tokens, Tokens]]:
        """Return what the teacher is to go on with: how, behind which prompt, from which tokens."""
        found: list[tuple[str, Tokens, Tokens]] = [
            ("the hint's opening, continued without the hint", turn.prompt, opening)
            for opening in self._openings(turn, before)
        ]
        if "system" in turn.asked:
            found.append(("system", turn.asked["system"], ()))
        if sentence := self.sentence(turn.reply):
            made = "first sentence of the reply, continued with the hint"
            found.append((made, _followed(turn), sentence))
        return found

    def _openings(self, turn: Hinted, before: Sequence[Candidate]) -> list[Tokens]:
        """Return how the hinted teacher begins, each opening once."""
        found = (self.opening(each.tokens) for each in before if each.made in turn.asked)
        return list(dict.fromkeys(filter(None, found)))

    def _whole(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Keep of each candidate what is whole, and drop those that are not, or said twice."""
        kept: dict[Tokens, Candidate] = {}
        for each in candidates:
            tokens = each.tokens
            if not tokens or tokens[-1] not in self._stop_ids:
                tokens = self._to_last_sentence(tokens)
            if not set(tokens) <= self._stop_ids:
                kept.setdefault(tokens, replace(each, tokens=tokens))
        return list(kept.values())

    def text(self, tokens: Sequence[int]) -> str:
        """Return tokens as people read them."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def sentence(self, tokens: Tokens) -> Tokens:
        """Return the tokens of the first sentence; nothing where none ends within the limit."""
        return self._until(tokens[: self._max_tokens - 1], _END, least=_LEAST_CHARS)

    def opening(self, tokens: Tokens) -> Tokens:
        """Return the tokens up to the first mark, or a few."""
        said = tuple(token for token in tokens if token not in self._stop_ids)
        return self._until(said[:OPENING_TOKENS], _PAUSE, least=1) or said[:FEW_TOKENS]

    def _to_last_sentence(self, tokens: Tokens) -> Tokens:
        for size in range(len(tokens), 0, -1):
            if _END.search(self.text(tokens[:size])):
                return tokens[:size]
        return ()

    def _until(self, tokens: Tokens, mark: re.Pattern[str], *, least: int) -> Tokens:
        for size in range(1, len(tokens) + 1):
            text = self.text(tokens[:size])
            if len(text.strip()) >= least and mark.search(text):
                return tokens[:size]
        return ()

    def _greedy(self, prompts: Sequence[Tokens]) -> list[Tokens]:
        replies = greedy(
            self._teacher,
            prompts,
            max_tokens=self._max_tokens,
            stop_ids=self._stop_ids,
            pause=self._pause,
        )
        return [tuple(reply) for reply in replies]

    def _drawn(self, turns: Sequence[Hinted]) -> list[Tokens]:
        choose: Choose = Draws([turn.turn_id for turn in turns])
        replies = continued(
            self._teacher,
            [turn.asked["suffix"] for turn in turns],
            choose,
            max_tokens=self._max_tokens,
            stop_ids=self._stop_ids,
            pause=self._pause,
        )
        return [tuple(reply) for reply in replies]


def _followed(turn: Hinted) -> Tokens:
    """The hinted prompt behind which the hint is followed best."""
    return turn.asked.get("example", turn.asked["suffix"])

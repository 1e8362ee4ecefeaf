"""Turns a plan into lessons: what was asked, what was answered, and what the hint makes of it.

The rewrite of a turn is made once, by the version that is stable then, and kept with the turn:
every later generation pulls towards the same target. So is the reason where there is none.

A reply that was cut, timed out or failed is never a lesson: it says nothing of how a reply should
go on or end. One that was cut at its length may still have been wished otherwise: then the hint
teaches, and its score does not.

Reads rows, writes nothing: new rewrites are returned, to be committed with the outcome.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from learner.batch import hints
from learner.batch.borne import accepted_alone
from learner.batch.lesson import Lesson
from learner.batch.plan import PlannedTurn
from learner.batch.rewriting.candidates import Hinted, Tokens
from learner.batch.rewriting.placements import ANY_WISH, PLACEMENTS, Placement
from learner.batch.rewriting.rewriting import refused, rewrite
from learner.batch.rewriting.teacher import Target, Teacher
from learner.batch.standing import arrived
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.settings import LearnerSettings
from streams.errors import TemplateRefusedError
from streams.records import Turn
from streams.store.tables import TurnRow

_LOG = logging.getLogger(__name__)


def prepare(
    plan: Sequence[PlannedTurn], rows: Mapping[str, TurnRow], teacher: Teacher
) -> tuple[list[Lesson], dict[str, Target]]:
    """Return the lessons of a plan, and the rewrites that were made for them, by turn.

    rows: the plan's turns; one that is gone, or says nothing that could be scored, is left out
    """
    turns = {id: Turn.model_validate(row.record) for id, row in rows.items()}
    lessons = {
        item.turn_id: _lesson(item, turns[item.turn_id], teacher)
        for item in plan
        if item.turn_id in turns and arrived(rows[item.turn_id])
    }
    hinted = {
        item.turn_id: item.hint
        for item in plan
        if item.hint and item.turn_id in lessons and _is_free(turns[item.turn_id])
    }
    made: dict[str, Target] = {}
    if teacher.settings.hint_target == "tokens":
        taken = {id: hint for id, hint in hinted.items() if not refused(hint, _said(turns[id]))}
        lessons |= _by_tokens(lessons, turns, taken, teacher)
    else:
        kept = {
            id: target
            for id, hint in hinted.items()
            if (target := rows[id].target) and _serves(target, hint, teacher.settings)
        }
        missing = {id: hint for id, hint in hinted.items() if id not in kept}
        made = _rewrites({id: lessons[id] for id in missing}, turns, missing, teacher)
        lessons |= {
            id: lessons[id].taught(
                target["token_ids"], target["logprobs"], teacher.settings.certainty
            )
            for id, target in (kept | made).items()
        }
    teaching = [each for each in lessons.values() if each.score or each.target or each.advantages]
    if teacher.settings.accepted_alone:
        teaching = accepted_alone(teaching, plan)
    return teaching, made


def _by_tokens(
    lessons: Mapping[str, Lesson],
    turns: Mapping[str, Turn],
    hinted: Mapping[str, str],
    teacher: Teacher,
) -> dict[str, Lesson]:
    """Return the hinted lessons with what the hint makes of each token of their replies."""
    prompts = {
        id: prompt
        for id, hint in hinted.items()
        if (prompt := _asked(turns[id], hint, "suffix", teacher))
    }
    return _with_advantages([lessons[id] for id in prompts], prompts, teacher)


def _lesson(item: PlannedTurn, turn: Turn, teacher: Teacher) -> Lesson:
    """Return a turn as a lesson, behind its prompt without notes: the weights are to hold those."""
    settings = teacher.settings
    reply = tuple(turn.token_ids[: settings.max_reply_tokens])
    plain = _plain(turn, teacher) if turn.notes else tuple(turn.prompt_token_ids)
    whole = not turn.notes and len(plain) <= settings.max_prompt_tokens
    return Lesson(
        turn_id=item.turn_id,
        weight=item.weight,
        score=item.score if turn.finish_reason != "length" else 0,
        confidence=item.confidence,
        prompt=hints.cut_left(plain, settings.max_prompt_tokens),
        reply=reply,
        logprobs=tuple(turn.logprobs[: len(reply)]) if whole else (),
        forced=frozenset(place for place in turn.forced if place < len(reply)),
    )


def _plain(turn: Turn, teacher: Teacher) -> Tokens:
    """Return the prompt that a turn would have had without notes; its own where there is none."""
    base = teacher.serving.base
    try:
        return tuple(base.render(turn.messages, turn.tools, continues=turn.continues))
    except TemplateRefusedError:  # the template of another model may have taken it
        return tuple(turn.prompt_token_ids)


def _is_free(turn: Turn) -> bool:
    """Whether a rewrite could stand in the reply's place: the teacher's is held to no form."""
    return turn.sampling.constraint is None


def _serves(kept: Target, hint: str, settings: LearnerSettings) -> bool:
    """Whether a kept target is of this hint, whole, and proved where that is asked for."""
    if kept["hint"] != hint or "logprobs" not in kept:
        return False
    return bool(kept.get("proved")) or not settings.proved_lessons


def _asked(turn: Turn, hint: str, place: Placement, teacher: Teacher) -> Tokens:
    try:
        ids = teacher.serving.base.render(
            PLACEMENTS[place](turn.messages, hint), turn.tools, continues=turn.continues
        )
    except TemplateRefusedError:
        return ()  # the template of another model may have taken what ours does not
    return hints.cut_left(ids, teacher.settings.max_prompt_tokens)


def _said(turn: Turn) -> tuple[tuple[str, str | None], ...]:
    """Return role and text of a request's messages."""
    return tuple((each.role, each.content) for each in turn.messages)


def _rewrites(
    lessons: Mapping[str, Lesson],
    turns: Mapping[str, Turn],
    wished: Mapping[str, str],
    teacher: Teacher,
) -> dict[str, Target]:
    """Make the targets of turns that have none yet; without a prompt for the hint there is none."""
    hinted = []
    for id, lesson in lessons.items():
        placed = {
            place: prompt
            for place in PLACEMENTS
            if (prompt := _asked(turns[id], wished[id], place, teacher))
        }
        if "suffix" in placed:
            any_wish = _asked(turns[id], ANY_WISH, "suffix", teacher)
            said = _said(turns[id])
            hinted.append(Hinted(id, lesson.prompt, lesson.reply, placed, any_wish, said))
    targets = rewrite(hinted, wished, teacher) if hinted else {}
    for id, target in targets.items():
        if not target["token_ids"]:
            _LOG.info("turn %s teaches by its reward only: %s", id, target["reason"])
    return targets


def _with_advantages(
    lessons: Sequence[Lesson], prompts: Mapping[str, Tokens], teacher: Teacher
) -> dict[str, Lesson]:
    """Let the teacher score the replies that were given, behind the hinted prompts."""
    lessons = [lesson for lesson in lessons if lesson.logprobs]
    found = _teacher_logprobs([Passage(prompts[x.turn_id], (x.reply,)) for x in lessons], teacher)
    return {
        lesson.turn_id: replace(lesson, advantages=hints.advantages(scored, lesson.logprobs))
        for lesson, scored in zip(lessons, found, strict=True)
    }


def _teacher_logprobs(passages: Sequence[Passage], teacher: Teacher) -> list[list[float]]:
    """Score each passage's only continuation under the stable version."""
    found = logprobs(
        teacher.serving.decoder, passages, backend=teacher.backend, pause=teacher.pause
    )
    return [each.tolist() for (each,) in found]

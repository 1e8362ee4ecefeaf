"""Turns a plan into lessons: what was asked, what was answered, and what the hint makes of it.

The teacher's rewrite of a turn is made once, by the version that is stable then, and kept with the
turn: every later generation pulls towards the same target.

Reads rows, writes nothing: new rewrites are returned, to be committed with the outcome.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kernels.contract import Backend
from learner.batch import hints
from learner.batch.lesson import Lesson
from learner.batch.plan import PlannedTurn
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.serving import Serving
from learner.settings import LearnerSettings
from streams.errors import TemplateRefusedError
from streams.records import Turn
from streams.store.tables import TurnRow

# TurnRow.target: hint, version (the teacher), token_ids, logprobs (the teacher's, of these)
Target = dict[str, Any]
Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Teacher:
    """The serving version, and what else lessons are prepared with."""

    serving: Serving
    settings: LearnerSettings
    backend: Backend
    pause: Callable[[], None]


def prepare(
    plan: Sequence[PlannedTurn], rows: Mapping[str, TurnRow], teacher: Teacher
) -> tuple[list[Lesson], dict[str, Target]]:
    """Return the lessons of a plan, and the rewrites that were made for them, by turn.

    rows: the plan's turns; one that is gone, or says nothing that could be scored, is left out
    """
    turns = {id: Turn.model_validate(row.record) for id, row in rows.items()}
    lessons = {
        item.turn_id: _lesson(item, turns[item.turn_id], teacher.settings)
        for item in plan
        if item.turn_id in turns and turns[item.turn_id].token_ids
    }
    hinted = {
        item.turn_id: item.hint
        for item in plan
        if item.hint and item.turn_id in lessons and _is_free(turns[item.turn_id])
    }
    prompts = {id: _teacher_prompt(turns[id], hint, teacher) for id, hint in hinted.items()}
    prompts = {id: prompt for id, prompt in prompts.items() if prompt}
    made: dict[str, Target] = {}
    if teacher.settings.hint_target == "tokens":
        lessons |= _with_advantages([lessons[id] for id in prompts], prompts, teacher)
    else:
        targets = {id: rows[id].target for id in prompts}
        missing = {id for id, kept in targets.items() if not _serves(kept, hinted[id])}
        made = _rewrites({id: prompts[id] for id in prompts if id in missing}, hinted, teacher)
        for id, target in (targets | made).items():
            if target is not None:
                lessons[id] = replace(
                    lessons[id],
                    target=tuple(target["token_ids"]),
                    teacher=tuple(target["logprobs"]),
                )
    teaching = [each for each in lessons.values() if each.score or each.target or each.advantages]
    return teaching, made


def _lesson(item: PlannedTurn, turn: Turn, settings: LearnerSettings) -> Lesson:
    reply = tuple(turn.token_ids[: settings.max_reply_tokens])
    whole = len(turn.prompt_token_ids) <= settings.max_prompt_tokens
    return Lesson(
        turn_id=item.turn_id,
        weight=item.weight,
        score=item.score,
        confidence=item.confidence,
        prompt=hints.cut_left(turn.prompt_token_ids, settings.max_prompt_tokens),
        reply=reply,
        logprobs=tuple(turn.logprobs[: len(reply)]) if whole else (),
        forced=frozenset(place for place in turn.forced if place < len(reply)),
    )


def _is_free(turn: Turn) -> bool:
    """Whether a rewrite could stand in the reply's place: the teacher's is held to no form."""
    return turn.sampling.constraint is None


def _serves(kept: Target | None, hint: str) -> bool:
    """Whether a kept target is of this hint, and whole."""
    return kept is not None and kept["hint"] == hint and "logprobs" in kept


def _teacher_prompt(turn: Turn, hint: str, teacher: Teacher) -> Tokens:
    try:
        ids = teacher.serving.base.render(
            hints.with_hint(turn.messages, hint), turn.tools, continues=turn.continues
        )
    except TemplateRefusedError:
        return ()  # the template of another model may have taken what ours does not
    return hints.cut_left(ids, teacher.settings.max_prompt_tokens)


def _rewrites(
    prompts: Mapping[str, Tokens], hinted: Mapping[str, str], teacher: Teacher
) -> dict[str, Target]:
    replies = hints.rewrites(
        teacher.serving.decoder,
        list(prompts.values()),
        max_tokens=teacher.settings.max_reply_tokens,
        stop_ids=teacher.serving.base.stop_ids,
        pause=teacher.pause,
    )
    said = {id: reply for id, reply in zip(prompts, replies, strict=True) if reply}
    found = _teacher_logprobs(
        [Passage(prompts[id], (reply,)) for id, reply in said.items()], teacher
    )
    scores = dict(zip(said, found, strict=True))
    return {
        id: {
            "hint": hinted[id],
            "version": teacher.serving.name,
            "token_ids": list(said.get(id, ())),
            "logprobs": scores.get(id, []),
        }
        for id in prompts
    }


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

"""Operators' changes of a line: made by a verb, offered to the log, and proved to be what counts.

The log decides: of two changes at once the first one counts, and whoever made the other is told so,
and looks again. Needs the log alone, and no store.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from streams.errors import ConflictError, LastStepError, VerbRefusedError
from streams.line import verbs
from streams.line.line import Line
from streams.line.policy import prove_allowed
from streams.line.verbs import Audit
from streams.log.contract import Log, outgoing, records_now
from streams.records import LearnOrder, Rollout, Verb
from streams.settings import RolloutSettings

_Make = Callable[[Line, RolloutSettings, Audit], Rollout]

# What operators do with a trial that is there; what goes back, or without a trial to a version,
# has doors of its own.
OPERATORS: Final[Mapping[Verb, _Make]] = MappingProxyType(
    {
        "start": lambda line, settings, audit: verbs.start(
            line, verbs.on_trial(line, "start").version, audit, share=settings.shares[0]
        ),
        "pause": lambda line, _, audit: verbs.pause(line, audit),
        "resume": lambda line, _, audit: verbs.resume(line, audit),
        "skip-step": lambda line, settings, audit: verbs.skip_step(line, settings.shares, audit),
        "promote-full": lambda line, _, audit: verbs.promote_full(line, audit),
        "abort": lambda line, _, audit: verbs.abort(line, audit),
    }
)


# And with a line that has no trial.
_MAKERS: Final[Mapping[Verb, _Make]] = MappingProxyType(
    {**OPERATORS, "learn": lambda line, _, audit: verbs.learn(line, audit)}
)


def operable(line: Line) -> tuple[Verb, ...]:
    """Return what an operator may do with a line's trial now; nothing without one."""
    if line.trial is None:
        return ()
    return tuple(verb for verb in verbs.valid(line) if verb in OPERATORS)


def operate(
    log: Log,
    line: Line,
    verb: Verb,
    audit: Audit,
    settings: RolloutSettings,
    *,
    expected_seq: int | None = None,
    completes: bool = True,
) -> Rollout:
    """Use a verb on a line or on the trial of it, and return the record that counts.

    line: as the log has it now
    expected_seq: the line's seq that the operator saw; None: whatever it is
    completes: whether the candidate may come to serve everybody by it
    raises: ConflictError when somebody else changed the line first; VerbRefusedError where its
        state does not allow the verb; NotAllowedError where the policy leaves it to somebody else;
        LastStepError where the candidate would serve everybody, and may not; LogUnavailableError
    """
    prove_seen(line, expected_seq)
    if verb in OPERATORS and line.trial is None:
        # the line allows a start, of a candidate that a learner names; an operator names none
        raise VerbRefusedError(
            f"cannot {verb}: no candidate is on trial on the line {line.name}",
            valid=tuple(each for each in verbs.valid(line) if each not in OPERATORS),
        )
    if verb not in _MAKERS or verb not in verbs.valid(line):
        verbs.refuse(line, verb)
    prove_allowed(line, verb, audit.who, settings)
    change = _MAKERS[verb](line, settings, audit)
    if change.version != line.version and not completes:
        raise LastStepError(f"{change.version} would serve everybody on the line {line.name}")
    offer(log, change)
    return change


def prove_seen(line: Line, expected_seq: int | None) -> None:
    """Prove that a line is as the operator saw it. None: however it is. Raises: ConflictError."""
    if expected_seq not in (None, line.seq):
        raise ConflictError(
            f"the line {line.name} was changed meanwhile (seq {line.seq}, not {expected_seq}): "
            "look again, then decide"
        )


def order_learning(log: Log, name: str, audit: Audit) -> LearnOrder:
    """Order a generation of a line now.

    raises: VerbRefusedError while nothing is learned on the line; LogUnavailableError
    """
    line = decided(log, name)
    if line is not None and not line.learning:
        raise VerbRefusedError(
            f"no generation is made on the line {name}: learning was stopped by a reset",
            valid=verbs.valid(line),
        )
    order = LearnOrder(
        id=audit.id,
        line=name,
        reason=audit.reason,
        who=audit.who,
        created_ms=audit.created_ms,
    )
    log.append([outgoing("rollouts", name, order)])
    return order


def decided(log: Log, name: str) -> Line | None:
    """Fold the topic `rollouts` as every agent does (streams.line); None while the base serves.

    raises: LogUnavailableError
    """
    line: Line | None = None
    for now, _ in _folded(log, name):
        line = now
    return line


def counted(log: Log, name: str) -> list[Rollout]:
    """Return the changes of a line that counted, oldest first: its audit. As `decided`."""
    return [change for _, change in _folded(log, name)]


def offer(log: Log, change: Rollout) -> None:
    """Append a change of a line, and prove that it is the one that counts.

    raises: ConflictError when somebody else's came first; LogUnavailableError
    """
    log.append([outgoing("rollouts", change.line, change)])
    if not any(taken.id == change.id for _, taken in _folded(log, change.line)):
        raise ConflictError(
            f"somebody else changed the line {change.line} first: look, then decide"
        )


def _folded(log: Log, name: str) -> Iterator[tuple[Line, Rollout]]:
    """Yield the line after each record of it that counts, and the record."""
    line: Line | None = None
    for record in records_now(log, "rollouts"):
        if isinstance(record, Rollout) and record.line == name:
            # The first change names the base as what served before it.
            before = line or Line(name, (record.previous,))
            after = before.take(record)
            if after is not before:
                line = after
                yield line, record

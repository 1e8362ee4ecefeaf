"""Now: what serves, what is on trial and why it is not promoted yet, and whether all is well."""

from collections.abc import Iterator
from typing import Any

from agent.console.views.trial import trial_of
from agent.console.views.view import Ask, View
from streams.line.became import ended
from streams.line.said import TRIALS_END
from streams.records import Json

CHANGES, EVENTS = 6, 8  # the last ones; all of them stand in the audit


def read(ask: Ask) -> Json:
    """Put together what the shared reading tells of the line."""
    serving, rollouts = ask.serving, ask.changes
    stored = ask.section("store")["ok"]
    return {
        "line": ask.line,
        "stored": stored,
        "serving": serving,
        "name": _name(ask, serving["version"]) if stored else None,
        "change": next(filter(_serves(serving["version"]), rollouts), None),
        "trial": trial_of(ask, serving, rollouts) if serving["trial"] else None,
        "idle": None if serving["trial"] or not stored else _idle(ask),
        "health": list(_health(ask)),
        "heard": ask.section("heard"),
        "changes": rollouts[:CHANGES],
        "events": (ask.section("events") or [])[:EVENTS],
    }


VIEW = View(
    "now", "/", "Now", of_agent=read, key="n",
    purpose="what serves, what is on trial, and whether all is well",
)  # fmt: skip


def _serves(version: str) -> Any:
    """Whether a change is the one that took a version into service."""
    return lambda row: row["version"] == version != row["previous"]


def _name(ask: Ask, version: str) -> str | None:
    known = next((row for row in ask.of_line("versions") if row["version"] == version), None)
    if known and known["number"]:
        return f"version {known['number']}"
    base = (ask.section("bases") or {}).get(ask.line, version)
    return "the base model" if base == version else None


def _idle(ask: Ask) -> Json:
    """Why nothing is on trial: what the learner waits for, and what came of the last candidate."""
    generations = ask.of_line("generations")
    last = next((row for row in generations if row["state"] != "planned"), None)
    work = next((row for row in generations if row["state"] == "planned"), None)
    became = ended(last["child"], ask.changes) if last else None
    planner = _planner(ask)
    if not ask.serving.get("learning", True):
        why = "learning was stopped by a reset: on the page Safety it can be resumed"
    elif planner is not None and _is_away(ask, ask.section("learner")):
        why = "the learner is not running: start it with quickset learner"
    elif work is not None:
        why = f"generation {work['number']} is in work: it may become the next candidate"
    elif planner is not None and not planner["waits_for"].startswith(TRIALS_END):
        why = f"the learner waits for {planner['waits_for']}"
    elif planner is not None:
        why = "the learner has not looked at the line since the trial ended"
    else:
        why = "no turn has been judged yet: a correction in a chat, or a thumb, begins it"
    return {"why": why, "policy": ask.service.rollout.policy, "last": last, "ended": became}


def _planner(ask: Ask) -> Json | None:
    heard = ask.section("heard")
    return next((row for row in (heard or {"planners": []})["planners"]
                 if row["line"] == ask.line), None)  # fmt: skip


def _health(ask: Ask) -> Iterator[Json]:
    """Yield each part that must work, how it is (good, warn or bad), and in words."""
    yield _weights(ask.serving)
    learner = ask.section("learner")
    yield _learner(ask, learner)
    spool = ask.section("spool")
    if spool["log_away"]:
        yield _part("Log", "bad", "away: replies go on, what is said waits on this agent's disk")
    else:
        behind = _behind(ask, learner)
        yield _part("Log", "good", "all is read" if not behind else f"{behind} records to read")
    yield _spool(spool)
    store = ask.section("store")
    yield _part("Store", "good" if store["ok"] else "bad", store["message"] or "can be read")
    letters = (learner or {}).get("dead_letters")
    if letters:
        yield _part("Dead letters", "warn", f"{letters} open: records that nobody could use")
    if not_pruned := (learner or {}).get("not_pruned"):
        yield _part("Retention", "warn", not_pruned)


def _part(name: str, state: str, text: str) -> Json:
    return {"name": name, "state": state, "text": text}


def _weights(serving: Json) -> Json:
    if serving["failed"]:
        return _part(
            "Swap", "bad", f"what was decided cannot serve: {serving['failed']}; this one serves on"
        )
    if serving["decided"] != serving["version"]:
        doing = "waits for the recipe of" if serving["pending"] else "is building"
        return _part("Swap", "warn", f"{doing} {serving['decided']}")
    return _part("Swap", "good", "what was decided serves")


def _learner(ask: Ask, learner: Json | None) -> Json:
    if learner is None:
        return _part("Learner", "warn", "not known: the learner's store was not read")
    if not ask.serving.get("learning", True):
        return _part("Learner", "warn", "stopped by a reset: nothing is learned until told")
    if _is_away(ask, learner):
        return _part("Learner", "bad", "not running: start it with quickset learner")
    work = next((row for row in learner["in_work"] if row["line"] == ask.line), None)
    if work is not None:
        return _part("Learner", "good", f"generation {work['number']} is in work")
    planner = _planner(ask)
    waits = f"waits for {planner['waits_for'] if planner else 'judged turns'}"
    measuring = planner and planner["measuring"]
    return _part("Learner", "good", f"{waits}; {measuring}" if measuring else waits)


def _is_away(ask: Ask, learner: Json) -> bool:
    """Whether nobody holds the lease of the line."""
    leases = (row for row in learner["leases"] if row["name"].endswith(f"/{ask.line}"))
    lease = next(leases, None)
    return lease is None or not lease["held"]


def _behind(ask: Ask, learner: Json | None) -> int:
    groups = (learner or {"lag": {}})["lag"].items()
    return sum(sum(topics.values()) for group, topics in groups if group.endswith(f"/{ask.line}"))


def _spool(spool: Json) -> Json:
    if spool["dropped"]:
        return _part("Spool", "bad", f"{spool['dropped']} records were lost: it was full")
    if spool["records"]:
        return _part("Spool", "warn", f"{spool['records']} records are not in the log yet")
    return _part("Spool", "good", "empty: all is in the log")

"""Views from a shell: lessons, generations, units, one version, and what --watch does."""

import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.text import Text
from sqlmodel import select

from deploy.commands.line import cells
from deploy.commands.line.watch import tell
from deploy.errors import DeployError
from deploy.operate.history import find_version, versions
from streams.line.line import Line
from streams.log import dead_letters
from streams.log.contract import Outgoing
from streams.open import open_log
from streams.records import Verb
from streams.settings import StreamsSettings
from streams.store.lesson_tables import LessonRow
from streams.store.states import WAITING
from streams.store.store import open_store
from streams.store.tables import (
    ArtefactRow,
    GenerationRow,
    JudgementRow,
    PlannerRow,
    RecipeRow,
    RolloutRow,
    TurnRow,
)
from tests.deploy.commands.test_commands import FIRST, SECOND, run
from tests.deploy.conftest import BASE


@pytest.fixture
def learned(taught: StreamsSettings) -> StreamsSettings:
    """A home in which turn-2 was learned from, by the generation that made the second version."""
    store = open_store(taught)
    with store.transaction() as session:
        turn = session.get_one(TurnRow, "turn-2")
        turn.lesson = "brief"
        session.add(
            LessonRow(
                id="brief", line="main", principal=turn.principal, turn_id=turn.id, wished=[],
                instruction="be brief", state="set aside", reason="it helped nobody",
                versions=[[SECOND, 0]], created_ms=1,
            )
        )  # fmt: skip
        turn.target = {"hint": "be brief", "text": "[red]Short.[/red]", "made": "suffix",
                       "reason": "", "proof": {"about": 1.25}}  # fmt: skip
        other = session.get_one(TurnRow, "turn-1")
        other.target = {"hint": "be kind", "text": "", "reason": "no rewrite is about it"}
        session.add(
            GenerationRow(
                id="g", line="main", number=2, parent=FIRST, child=SECOND, key="0" * 16,
                state="released", turn_ids=["turn-2"],
                batch=[{"turn_id": "turn-2", "weight": 3.0}, {"turn_id": "gone", "weight": 1.0}],
                coefficients=[1, -1], reward=-1.0,
                gain=0.25, kl=0.01, settings={"pairs": 3, "seed": 0}, reason="passed",
                gate={"rows": [{"title": "refuses", "outcome": "pass",
                                "candidate": {"text": "8 of 8"}}]},
                planned_ms=1000, done_ms=5000,
            )
        )  # fmt: skip
        body = {"neurons": {"3": [1, 2]}, "groups": {"4": [0]}}
        session.add(ArtefactRow(digest="ab" * 32, kind="mask", body=body, created_ms=1))
    store.close()
    return taught


def test_long_lessons_leave_ids_whole(
    learned: StreamsSettings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 80 columns wish and rewrite give way, on one line each; the id is what `show` is told."""
    monkeypatch.setenv("COLUMNS", "80")
    store = open_store(learned)
    with store.transaction() as session:
        turn = session.get_one(TurnRow, "turn-2")
        turn.target = {"hint": "be brief " * 9, "text": "Short. " * 40, "made": "", "reason": ""}
    store.close()
    _, out, _ = run("lessons", "list", "--home", str(learned.home), capsys=capsys)
    head, newest, *_ = out.splitlines()
    assert head.split() == ["when", "turn", "wish", "learned", "versions", "is"]
    assert " turn-2 " in newest
    assert newest.split()[-2:] == ["set", "aside"]


ORDERS = "\x1b]52;c;cHduZWQ=\x07 \x1b[2J \x9b31m \u202egnp.exe \x7f\ud800"


@pytest.mark.parametrize(
    "command", ["turns", "lessons list", "lessons show turn-2", "versions generations",
                "versions show 2", "streams dead-letters list"],
)  # fmt: skip
def test_what_people_say_steers_no_terminal(
    learned: StreamsSettings, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Escape sequences, in one character or two, and what turns the direction of reading."""
    store, log = open_store(learned), open_log(learned)
    said = {"role": "user", "content": f"asked {ORDERS}"}
    with store.transaction() as session:
        turn = session.get_one(TurnRow, "turn-2")
        turn.record = turn.record | {"messages": [said], "reply": said | {"role": "assistant"}}
        turn.target = {"hint": ORDERS, "text": f"Short {ORDERS}", "made": "", "reason": ""}
        session.get_one(LessonRow, "brief").reason = f"it {ORDERS}"
        session.get_one(GenerationRow, "g").reason = f"asked {ORDERS}"
    sent = Outgoing(
        topic="turns",
        key="k",
        id="poison",
        value=f"asked {ORDERS}".encode("utf-8", "surrogatepass"),
    )
    log.append([dead_letters.of_outgoing(sent, f"asked {ORDERS[:-1]}", max_bytes=999, now_ms=1)])
    log.close()
    store.close()
    code, out, err = run(*command.split(), "--home", str(learned.home), capsys=capsys)
    assert (code, err) == (0, "")
    if "dead-letters" in command:
        name = re.search(r"^([0-9a-f]\S+)", out, re.MULTILINE)
        assert name is not None
        home = ("--home", str(learned.home))
        out += run("streams", "dead-letters", "show", name[1], *home, capsys=capsys)[1]
    assert "\ufffd" in out
    assert not set(out) & (set(ORDERS) - set(string.printable))
    code, out, err = run(*command.split(), "--json", "--home", str(learned.home), capsys=capsys)
    assert (code, err) == (0, "")
    assert not set(out) & (set(ORDERS) - set(string.printable))
    assert ORDERS[:-1] in str_of(json.loads(out))


def test_json_is_printed_in_one_way() -> None:
    """In which nothing steers a terminal, whatever command is written next."""
    files = Path(cells.__file__).parents[1].rglob("*.py")
    made = {file.name for file in files if "json.dumps(" in file.read_text(encoding="utf-8")}
    # the first for all of them; the others for a value in a table
    assert made == {"cells.py", "config.py", "versions.py"}


def str_of(value: Any) -> str:
    """All texts of a JSON value, one a line."""
    if isinstance(value, dict | list):
        within = value.values() if isinstance(value, dict) else value
        return "\n".join(map(str_of, within))
    return str(value)


def test_a_lesson_that_is_alone_says_so(
    learned: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """While it is active: how many people are behind the wish, and how many it needs."""
    store = open_store(learned)
    with store.transaction() as session:
        session.add(
            PlannerRow(line="main", waits_for="others", num_fresh=1, num_used=0, num_weak=0,
                       num_people=1, num_alone=1, alone={"brief": [1.2, 3.0]}, since_ms=1)
        )  # fmt: skip
    home = ("--home", str(learned.home))
    _, out, _ = run("lessons", "show", "turn-2", *home, "--json", capsys=capsys)
    assert json.loads(out)["course"]["reason"] == "it helped nobody"
    with store.transaction() as session:
        session.get_one(LessonRow, "brief").state = "active"
    store.close()
    _, out, _ = run("lessons", "show", "turn-2", *home, "--json", capsys=capsys)
    assert json.loads(out)["course"]["reason"] == (
        "waits for others who wish the same: 1.2 of 3 people so far"
    )


def test_lessons_are_listed_and_shown(
    learned: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The wish, the rewrite or why there is none, as text, and the versions that learned it."""
    home = ("--home", str(learned.home))
    _, out, _ = run("lessons", "list", *home, capsys=capsys)
    assert "[red]Short.[/red]" in out
    assert "no rewrite is about it" in out
    _, out, _ = run("lessons", "list", "--json", *home, capsys=capsys)
    newest, other = json.loads(out)
    assert (newest["turn"], newest["hint"], newest["versions"]) == ("turn-2", "be brief", [SECOND])
    assert newest["course"]["state"] == "set aside"
    assert (other["text"], other["versions"], other["course"]) == ("", [], None)
    _, out, _ = run("lessons", "show", "turn-2", *home, capsys=capsys)
    assert "+1.250" in out
    assert "set aside: it helped nobody" in out
    assert SECOND in out
    code, _, err = run("lessons", "show", "turn", *home, capsys=capsys)
    assert code == 2
    assert "several lessons" in err


@pytest.mark.parametrize("hinted", [True, False])
def test_the_last_verdict_is_shown(
    learned: StreamsSettings, capsys: pytest.CaptureFixture[str], hinted: bool
) -> None:
    """Of those that wish something, if any does; what waits for its judge has said nothing."""
    store = open_store(learned)
    with store.transaction() as session:
        first = session.exec(select(JudgementRow)).one()
        first.hint = "be brief" if hinted else None
        body = first.model_dump() | {"hint": None, "source": "model"}
        later = {"id": "k", "score": 1, "created_ms": 4}
        waits = {"id": "w", "score": 0, "created_ms": 5, "evidence": WAITING}
        session.add_all([JudgementRow(**body | each) for each in (later, waits)])
    store.close()
    home = ("--json", "--home", str(learned.home))
    lesson = json.loads(run("lessons", "show", "turn-2", *home, capsys=capsys)[1])
    assert lesson["score"] == (-1 if hinted else 1)
    newest = json.loads(run("turns", *home, capsys=capsys)[1])[0]
    assert [verdict["score"] for verdict in newest["judgements"]] == [-1, 1]


@pytest.mark.parametrize("noted", [True, False])
def test_a_wish_that_is_refused_is_listed_with_the_reason(
    learned: StreamsSettings, capsys: pytest.CaptureFixture[str], noted: bool
) -> None:
    """As the console tells it: by the lesson's row, or by what its judge says.

    However many turns are newer of which nothing was wished.
    """
    turn, why = "turn-0", "no instruction: asks to set rules aside"
    store = open_store(learned)
    with store.transaction() as session:
        for number, id in enumerate([turn, *(f"turn-9{other}" for other in range(30))]):
            body = session.get_one(TurnRow, "turn-1").model_dump()
            more = {"id": id, "sequence": 10 + number, "target": None}
            session.add(TurnRow(**body | more))
        if noted:
            session.add(
                LessonRow(
                    id="no", line="main", principal="p", turn_id=turn, wished=[], instruction="",
                    state="set aside", refused="asks", reason=why, created_ms=1,
                )
            )  # fmt: skip
        else:
            verdict = session.exec(select(JudgementRow)).first()
            assert verdict is not None
            said = f"too long; hint refused: {why.partition(': ')[2]}"
            more = {"id": "k", "turn_id": turn, "hint": None, "evidence": said}
            session.add(JudgementRow(**verdict.model_dump() | more))
    store.close()
    home = ("--home", str(learned.home))
    _, out, _ = run("lessons", "list", "--json", *home, capsys=capsys)
    told = {each["turn"]: each["refused"] for each in json.loads(out)}
    assert told == {"turn-1": None, "turn-2": None, turn: why}
    assert why in " ".join(run("lessons", "show", turn, *home, capsys=capsys)[1].split())
    _, out, _ = run("lessons", "list", *home, capsys=capsys)
    assert "– no instruction" in out


def test_a_version_shows_where_it_comes_from_and_what_made_it(
    learned: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its number, too: lineage, settings that were not the defaults, what each probe found."""
    home = ("--home", str(learned.home))
    _, out, _ = run("versions", "show", "2", *home, capsys=capsys)
    flat = " ".join(out.split())
    assert f"2 from the base: {FIRST} → {SECOND}" in flat
    assert "pairs = 3" in flat
    assert "8 of 8; pass" in flat
    assert "anonymous 75%, not kept any more 25%" in flat
    _, out, _ = run("versions", "show", "2", "--json", *home, capsys=capsys)
    shown = json.loads(out)
    assert shown["lineage"] == [FIRST, SECOND]
    assert shown["moved_by"][0] == {"principal": "anonymous", "share": 0.75}


def test_generations_and_units_are_shown(
    learned: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """What each generation came to, and how many units of which layer never move."""
    home = ("--home", str(learned.home))
    _, out, _ = run("versions", "generations", "--json", *home, capsys=capsys)
    (row,) = json.loads(out)
    assert (row["number"], row["turns"], row["pairs"], row["child"]) == (2, 1, 2, SECOND)
    assert "4 s" in run("versions", "generations", *home, capsys=capsys)[1]
    _, out, _ = run("versions", "safety", "--json", *home, capsys=capsys)
    (units,) = json.loads(out)
    assert (units["neurons"], units["groups"]) == (2, 1)
    assert [layer["layer"] for layer in units["layers"]] == [3, 4]
    assert "all together" in run("versions", "safety", *home, capsys=capsys)[1]


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_watched_is_printed_when_it_changes(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    """Each state once, a line of JSON each; Ctrl-C ends it without a fault."""
    states: Iterator[Any] = iter(["a", "a", "b", "b", "a"])
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            raise KeyboardInterrupt

    tell(lambda: next(states), Text, as_json=as_json, watch=True, pause=pause)
    told = capsys.readouterr().out.split()
    assert [each.strip('"') for each in told] == ["a", "b", "a"]


def test_every_view_has_json_and_every_list_can_be_watched() -> None:
    """No view of a line is for people alone."""
    from deploy.cli import app

    command: Any = typer.main.get_command(app)
    views = [("rollouts", "show"), ("rollouts", "list"), ("versions", "list"), ("lessons", "list"),
             ("versions", "generations"), ("versions", "safety"), ("turns",),
             ("streams", "dead-letters", "list")]  # fmt: skip
    for path in views:
        found = command
        for name in path:
            found = found.commands[name]
        flags = {flag for each in found.params for flag in each.opts}
        assert {"--json", "--watch"} <= flags, path


def test_a_version_whose_trial_was_aborted_is_not_called_released(
    learned: StreamsSettings,
) -> None:
    """The list says what the console says: how the trial ended, and why."""
    store = open_store(learned)
    with store.transaction() as session:
        session.add(
            RolloutRow(
                id="abort", line="main", seq=9, version=FIRST, previous=FIRST, candidate=SECOND,
                state="aborted", share=0.0, verb="abort", reason="more complaints", who="learner",
                created_ms=9,
            )
        )  # fmt: skip
    with store.reading() as session:
        told = {
            each.recipe.version: (each.state, each.reason) for each in versions(session, "main", 9)
        }
        found = find_version(session, SECOND, line="main", now=lambda: None)
    store.close()
    assert told[SECOND] == (found.state, found.reason) == ("aborted", "more complaints")


def test_of_versions_with_one_number_the_one_on_the_way_to_what_serves_is_meant(
    taught: StreamsSettings,
) -> None:
    """A rollback leaves several; on the way to something else, or to nobody knows what, all are."""
    store, other = open_store(taught), "e" * 16

    def found(now: Line | None) -> str:
        with store.reading() as session:
            return find_version(session, "2", line="main", now=lambda: now).recipe.version

    with store.transaction() as session:
        session.add(
            RecipeRow(version=other, parent=FIRST, line="main", number=2, record={}, created_ms=9)
        )
    assert found(Line("main", (BASE, FIRST, SECOND))) == SECOND
    for now in (Line("main", (BASE, FIRST)), None):
        with pytest.raises(DeployError, match="more than one version are number 2: ") as refused:
            found(now)
        assert SECOND in str(refused.value)
        assert other in str(refused.value)
    store.close()


def test_what_became_of_old_versions_is_told_however_many_are_listed(
    streams: StreamsSettings,
) -> None:
    """Each by its own changes: those of newer ones crowd none out."""
    verbs: tuple[Verb, ...] = ("start", "step", "step", "abort")
    store = open_store(streams)
    with store.transaction() as session:
        for number in range(1, 301):
            session.add(
                RecipeRow(
                    version=f"v{number}", parent=BASE, line="main", number=number, record={},
                    created_ms=number,
                )
            )  # fmt: skip
            for step, verb in enumerate(verbs, start=4 * number):
                session.add(
                    RolloutRow(
                        id=f"r{step}", line="main", seq=step, version=BASE, previous=BASE,
                        candidate=f"v{number}", state="aborted" if verb == "abort" else "running",
                        share=0.1, verb=verb, reason="worse", who="learner", created_ms=step,
                    )
                )  # fmt: skip
    with store.reading() as session:
        told = [each.state for each in versions(session, "main", 300)]
    store.close()
    assert told == ["aborted"] * 300

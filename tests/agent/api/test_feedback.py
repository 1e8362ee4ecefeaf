"""Feedback: a score, a thumb, a hint or a comment, shown, taken back, and given by a link."""

import hashlib
import json
import time
from typing import Any

import pytest
from aiohttp import FormData

from agent.api.feedback.request import read_feedback
from agent.errors import InvalidError
from agent.http.links import Link
from agent.turn.recorder import Rating
from tests.agent.conftest import Api, StartApi
from tests.agent.test_server import error_of


@pytest.mark.parametrize(
    ("given", "score"),
    [({"score": -1}, -1), ({"score": 0}, 0), ({"thumb": "up"}, 1), ({"thumb": "down"}, -1)],
)
def test_a_thumb_is_worth_one(given: dict[str, Any], score: int) -> None:
    """A thumb stands for the score of one."""
    assert read_feedback(json.dumps(given).encode()).score == score


def test_what_it_rests_on_is_kept() -> None:
    """Hint and comment come with the score, and what is not known is ignored."""
    given = {"thumb": "down", "hint": "Be brief.", "comment": "rambling", "user": "u"}
    assert read_feedback(json.dumps(given).encode()) == Rating(-1, "Be brief.", "rambling")


@pytest.mark.parametrize("given", [{"hint": "Be brief."}, {"comment": "hm"}])
def test_a_hint_or_a_comment_alone_is_enough(given: dict[str, Any]) -> None:
    """It has no score then."""
    assert read_feedback(json.dumps(given).encode()) == Rating(0, **given)


@pytest.mark.parametrize(
    ("given", "param"),
    [({}, "score"), ({"hint": ""}, "score"), ({"hint": " \n"}, "score"),
     ({"hint": "\0\u202e", "comment": "\t"}, "score"), ({"score": 1, "thumb": "up"}, "score"),
     ({"score": 2}, "score"), ({"score": True}, "score"), ({"thumb": "sideways"}, "thumb"),
     ({"score": 1, "hint": "x" * 5000}, "hint")],
)  # fmt: skip
def test_feedback_that_says_nothing_clear_is_refused(given: dict[str, Any], param: str) -> None:
    """Neither, both, another number or a novel of a hint are refused by name."""
    with pytest.raises(InvalidError) as caught:
        read_feedback(json.dumps(given).encode())
    assert caught.value.param == param


async def rated(api: Api) -> str:
    """The address of feedback on a new reply."""
    return f"/v1/feedback/{(await (await api.chat()).json())['id']}"


async def test_feedback_is_shown_and_taken_back(api: Api) -> None:
    """The last one is shown; what was taken back is not there, and that is recorded."""
    url = await rated(api)
    await error_of(await api.client.get(url), 404)
    given = await (await api.client.put(url, json={"thumb": "down", "comment": "no"})).json()
    assert await (await api.client.get(url)).json() == given
    gone = await (await api.client.delete(url)).json()
    assert (gone["deleted"], gone["object"]) == (True, "feedback.deleted")
    assert (await error_of(await api.client.get(url), 404))["code"] == "feedback_not_found"
    assert [record.withdrawn for record in api.feedback()] == [False, True]
    assert (await api.client.delete(url)).status == 200
    metrics = await (await api.client.get("/metrics")).text()
    assert 'quickset_feedback_total{score="withdrawn",way="api"} 2.0' in metrics


async def test_nobody_elses_feedback_is_shown_or_taken_back(start_api: StartApi) -> None:
    """Another key gets the answer that an invented id gets."""
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
    api: Api = await start_api(keys=keys)
    api.headers = {"Authorization": "Bearer ann"}
    url, bob = await rated(api), {"Authorization": "Bearer bob"}
    await api.client.put(url, json={"thumb": "up"}, headers=api.headers)
    for method in ("get", "delete"):
        answer = await getattr(api.client, method)(url, headers=bob)
        assert (await error_of(answer, 404))["code"] == "response_not_found"
    assert (await api.client.post(f"{url}/link", json={}, headers=bob)).status == 404


async def test_feedback_on_a_deleted_response_is_not_taken(api: Api) -> None:
    """Whoever rates what they have deleted is told that nothing is learned from it."""
    made = await (await api.post("/v1/responses", {"model": "quickset", "input": "Hi"})).json()
    await api.client.delete(f"/v1/responses/{made['id']}")
    rated = f"/v1/feedback/{made['id']}"
    for answer in (
        await api.client.put(rated, json={"thumb": "up"}),
        await api.client.post(f"{rated}/link", json={}),
    ):
        assert (await error_of(answer, 404))["code"] == "response_deleted"


async def test_a_link_rates_without_a_key(start_api: StartApi) -> None:
    """Opening it changes nothing; its form does, for the principal who asked for the reply."""
    api: Api = await start_api(keys={"ann": hashlib.sha256(b"ann").hexdigest()})
    api.headers = {"Authorization": "Bearer ann"}
    url = await rated(api)
    made = await (await api.client.post(f"{url}/link", data=b"", headers=api.headers)).json()
    assert made["expires"] == pytest.approx(time.time() + 7 * 86400, abs=60)
    path = made["url"].removeprefix(str(api.client.make_url("")).rstrip("/"))
    page = await api.client.get(path)
    assert (page.status, page.headers["Cache-Control"]) == (200, "no-store")
    assert "<script" not in await page.text()
    assert (await api.client.get("/feedback-page/rate.css")).status == 200
    assert api.feedback() == []
    sent = await api.client.post(path, data={"say": "down", "hint": " Be brief. "})
    assert (sent.status, "Thank you" in await sent.text()) == (200, True)
    (record,) = api.feedback()
    (turn,) = api.turns()
    assert (record.turn_id, record.principal, record.session) == (
        turn.id, turn.principal, turn.session,
    )  # fmt: skip
    assert (record.score, record.hint) == (-1, "Be brief.")
    lines = "\r\n".join(["x" * 9] * 400)  # 3,999 characters as a browser counts them
    assert (await api.client.post(path, data={"say": "down", "hint": lines})).status == 200
    assert api.feedback()[-1].hint == lines.replace("\r\n", "\n")
    back = await api.client.post(path, data={"say": "back"})
    assert (back.status, "taken back" in await back.text()) == (200, True)
    assert "is kept" not in await back.text()
    assert api.feedback()[-1].withdrawn
    bad = await api.client.post(path, data={"say": "1"})
    assert (bad.status, "choose one of the buttons" in await bad.text()) == (400, True)


async def test_a_link_names_the_address_that_others_reach(start_api: StartApi) -> None:
    """The one of the settings, as a proxy may end TLS; else the one that is asked, if it is one."""
    api: Api = await start_api(public_url="https://chat.example.org/ai/")
    made = await (await api.client.post(f"{await rated(api)}/link", data=b"")).json()
    assert made["url"].startswith("https://chat.example.org/ai/rate/")
    api = await start_api()
    url = f"{await rated(api)}/link"
    for host in ("localhost:99999", "localhost:b"):
        bad = await api.client.post(url, data=b"", headers={"Host": host})
        assert (await error_of(bad, 400))["code"] == "host_invalid"


async def test_what_a_link_cannot_keep_is_told_and_comes_back(start_api: StartApi) -> None:
    """Nothing is cut in silence: the form says why, and has the words that were typed."""
    key = {"ann": hashlib.sha256(b"ann").hexdigest()}
    api: Api = await start_api(keys=key, requests_per_minute=3)
    api.headers = {"Authorization": "Bearer ann"}
    url = await rated(api)
    made = await (await api.client.post(f"{url}/link", data=b"", headers=api.headers)).json()
    path = made["url"].removeprefix(str(api.client.make_url("")).rstrip("/"))
    long = "<b>" + "x" * 4000
    for status, said, form in (
        (400, "4,000 characters are taken, and these are 4,003", {"say": "up", "hint": long}),
        (429, "try again in", {"say": "down", "hint": long[:9]}),
    ):
        answer = await api.client.post(path, data=form)
        text = await answer.text()
        assert answer.status == status
        assert said in text
        assert f">&lt;b&gt;{form['hint'][3:]}</textarea>" in text
    assert api.feedback() == []


async def test_a_form_says_each_thing_once(api: Api) -> None:
    """Of two verdicts or two hints one would be lost."""
    made = await (await api.client.post(f"{await rated(api)}/link", data=b"")).json()
    path = made["url"].removeprefix(str(api.client.make_url("")).rstrip("/"))
    for said in ([("say", "up"), ("say", "down")], [("say", "up"), ("hint", "a"), ("hint", "b")]):
        answer = await api.client.post(path, data=FormData(said))
        assert (answer.status, "is said twice" in await answer.text()) == (400, True)
    assert api.feedback() == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded; charset=foo", b"say=down"),
        ("application/x-www-form-urlencoded; charset=utf-7", b"say=down&hint=+2AA-"),
        ("application/x-www-form-urlencoded; charset=unicode_escape", b"say=x&hint=\\ud800"),
        ("application/x-www-form-urlencoded", b"say=down&hint=%ED%A0%80"),
        ("application/x-www-form-urlencoded", b"say=down&hint=\xff"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=say\r\n"
         b"Content-Transfer-Encoding: foo\r\n\r\ndown\r\n--x--\r\n"),
    ],
)  # fmt: skip
async def test_a_form_that_is_no_text_is_refused(api: Api, kind: str, body: bytes) -> None:
    """The page says so, and nothing is kept."""
    made = await (await api.client.post(f"{await rated(api)}/link", data=b"")).json()
    path = made["url"].removeprefix(str(api.client.make_url("")).rstrip("/"))
    answer = await api.client.post(path, data=body, headers={"Content-Type": kind})
    assert (answer.status, "cannot be read" in await answer.text()) == (400, True)
    assert api.feedback() == []
    kind = 'application/x-www-form-urlencoded; charset="UTF-8"'
    sent = await api.client.post(path, data=b"say=up&hint=%C3%A9", headers={"Content-Type": kind})
    assert (sent.status, api.feedback()[-1].hint) == (200, "\u00e9")


async def test_a_link_that_ended_or_was_changed_is_refused(api: Api) -> None:
    """In words for people, and nothing is kept."""
    response_id = (await rated(api)).rpartition("/")[2]
    links = api.service.links
    good = links.sign(Link(response_id, "anonymous", int(time.time()) + 60))
    ended = links.sign(Link(response_id, "anonymous", int(time.time()) - 1))
    for text in (ended, good[:-1] + "x", good.replace("anonymous", "somebody"), "x"):
        for answer in (
            await api.client.get(f"/rate/{text}"),
            await api.client.post(f"/rate/{text}", data={"say": "up"}),
        ):
            assert answer.status == 403
            assert "does not work any more" in await answer.text()
    assert api.feedback() == []

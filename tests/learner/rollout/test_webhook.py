"""The webhook is told of what ended or is held, signed, and again until it has answered."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from learner.rollout import claims
from learner.rollout.webhook import LOOK_S, RETRY_S, TRIES, Webhook, signature
from streams.line import verbs
from streams.line.line import Line
from streams.line.verbs import Audit
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store

SECRET = b"between us"


@dataclass
class Receiver:
    """A server that keeps what it was told, and answers as it is told."""

    answers: list[int] = field(default_factory=list)  # 200 when there are none left; 0: not HTTP
    told: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.told.append((dict(self.headers), body))
            answer = receiver.answers.pop(0) if receiver.answers else 200
            if answer:
                self.send_response(answer)
                self.send_header("Location", receiver.url)
                self.end_headers()
            else:
                self.wfile.write(b"\x15\x03\x01\x00\x02\x02\x16")  # what TLS says to a plain POST

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
        yield receiver
        server.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of its own."""
    store = open_store(StreamsSettings(home=tmp_path))
    yield store
    store.close()


def change(store: Store, line: Line, verb: str) -> Line:
    """Project a change, as the learner does."""
    audit = Audit.new("learner", f"{verb} it", 5)
    made = verbs.start(line, "new", audit, share=0.1) if verb == "start" else getattr(
        verbs, verb
    )(line, audit)  # fmt: skip
    with store.transaction() as session:
        assert claims.project(session, made)
    return line.take(made)


def test_it_is_told_of_holds_and_ends_once_each_and_signed(
    receiver: Receiver, store: Store
) -> None:
    """What came before the first start is not told; starts and pauses are nobody's business."""
    line = change(store, Line("main", ("base",)), "start")
    line = change(store, line, "abort")
    webhook = Webhook(store, line="main", url=receiver.url, secret=SECRET)
    assert webhook.step() == LOOK_S
    assert receiver.told == []
    for verb in ("start", "pause", "resume", "hold", "promote_full"):
        line = change(store, line, verb)
    assert webhook.step() == webhook.step() == LOOK_S
    again = Webhook(store, line="main", url=receiver.url, secret=SECRET)  # after a restart
    again.step()
    bodies = [json.loads(body) for _, body in receiver.told]
    assert [body["event"] for body in bodies] == ["rollout.held", "rollout.completed"]
    assert bodies[1]["serving"] == bodies[1]["candidate"] == "new"
    for headers, body in receiver.told:
        assert headers["X-Quickset-Signature"] == signature(SECRET, body)
        assert headers["X-Quickset-Signature"] != signature(b"another", body)
    assert len({headers["X-Quickset-Delivery"] for headers, _ in receiver.told}) == 2


def test_a_receiver_that_fails_is_told_again_more_and_more_seldom(
    receiver: Receiver, store: Store
) -> None:
    """In order, and nothing is left out; after many tries it is given up, and the next is told."""
    webhook = Webhook(store, line="main", url=receiver.url, secret=SECRET)
    webhook.step()
    line = change(store, Line("main", ("base",)), "start")
    change(store, change(store, line, "hold"), "abort")
    receiver.answers = [500, 404, 302, 200, 200]
    waits = [webhook.step() for _ in range(4)]
    assert waits == [RETRY_S[0], 2 * RETRY_S[0], 4 * RETRY_S[0], LOOK_S]
    events = [json.loads(body)["event"] for _, body in receiver.told]
    assert events == ["rollout.held"] * 4 + ["rollout.aborted"]


@pytest.mark.parametrize("answer", [301, 302, 303, 307, 308, 0])
def test_what_is_redirected_or_not_answered_in_http_is_told_again(
    receiver: Receiver, store: Store, answer: int
) -> None:
    """Followed, a POST would be a GET without its body; a port of TLS answers in no HTTP."""
    webhook = Webhook(store, line="main", url=receiver.url, secret=SECRET)
    webhook.step()
    change(store, change(store, Line("main", ("base",)), "start"), "abort")
    receiver.answers = [answer, answer]
    assert [webhook.step() for _ in range(3)] == [RETRY_S[0], 2 * RETRY_S[0], LOOK_S]
    bodies = [json.loads(body)["event"] for _, body in receiver.told]
    assert bodies == ["rollout.aborted"] * 3


def test_a_receiver_that_is_gone_for_ever_is_given_up(store: Store) -> None:
    """It costs a day of tries, not the changes that follow."""
    tried: list[str] = []

    def send(url: str, body: bytes, headers: object) -> None:
        tried.append(json.loads(body)["event"])
        raise ConnectionRefusedError(f"{url} is gone {headers}")

    webhook = Webhook(store, line="main", url="http://gone", secret=SECRET, send=send)
    webhook.step()
    line = change(store, change(store, Line("main", ("base",)), "start"), "hold")
    waits = [webhook.step() for _ in range(TRIES - 1)]
    assert max(waits) == RETRY_S[1]
    assert webhook.step() == LOOK_S
    change(store, line, "abort")
    webhook.step()
    assert (tried.count("rollout.held"), tried[-1]) == (TRIES, "rollout.aborted")


def test_its_log_has_no_password(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Neither of a try that failed, nor of one that was the last."""

    def send(*_: object) -> None:
        raise ConnectionRefusedError("gone")

    url = "https://bot:s3cret@gone/hook?token=s3cret"
    webhook = Webhook(store, line="main", url=url, secret=SECRET, send=send)
    webhook.step()
    change(store, change(store, Line("main", ("base",)), "start"), "hold")
    for _ in range(TRIES):
        webhook.step()
    assert len(caplog.messages) == TRIES
    assert all("https://bot:***@gone/hook?token=***" in each for each in caplog.messages)


def test_user_and_password_of_its_url_are_said_in_a_header(
    receiver: Receiver, store: Store
) -> None:
    """The URL that is asked is without them, and what is escaped there is not in the header."""
    url = receiver.url.replace("://", "://bot:s3%40cret@")
    webhook = Webhook(store, line="main", url=url, secret=SECRET)
    webhook.step()
    change(store, change(store, Line("main", ("base",)), "start"), "abort")
    assert webhook.step() == LOOK_S
    [(headers, _)] = receiver.told
    assert headers["Authorization"] == f"Basic {base64.b64encode(b'bot:s3@cret').decode()}"

"""The page behind a signed link: whoever holds the link rates one reply, without a key or script.

Opening the page changes nothing, as what reads mails opens every link in them; its buttons send a
form. What the link says is proved each time, and what was typed comes back where it is not kept.
"""

import html
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from agent.api.feedback.request import MAX_CHARS
from agent.api.serve import SERVICE
from agent.errors import ApiError, InvalidError
from agent.http import edge, pages
from agent.http.form import words
from agent.http.links import Link
from agent.turn.recorder import Rating

PATH: Final = "/rate/{link}"
_FOLDER: Final = Path(__file__).parent / "static"
# An address that is a key must not be kept by caches, nor told to other sites.
_HEADERS: Final[Mapping[str, str]] = pages.HEADERS | {
    "Cache-Control": "no-store",
    "Content-Type": "text/html; charset=utf-8",
}
_TITLES: Final = {
    "rate": "Was the reply good?",
    "thanks": "Thank you",
    "back": "Taken back",
    "ended": "This link does not work any more",
}
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 100  # the page's form has two
_SAID: Final = {"up": Rating(1), "down": Rating(-1), "back": Rating(withdrawn=True)}


def routes() -> list[web.RouteDef]:
    """The page, and what its form is sent to."""
    return [
        web.get(PATH, _show),
        web.post(PATH, _take),
        *pages.files("/feedback-page", _FOLDER),
    ]


async def _show(request: web.Request) -> web.StreamResponse:
    try:
        _proved(request)
    except ApiError as error:
        return _page("ended", error.status)
    return _asked()


async def _take(request: web.Request) -> web.StreamResponse:
    hint = ""
    try:
        link, service = _proved(request), request.app[SERVICE]
        form = await _form(request)
        hint = form.get("hint", "")
        service.limits.count_request(link.principal)
        rating = _rating(form)
        await service.rate(link.response_id, rating, principal=link.principal, way="link")
    except ApiError as error:
        if error.status in (403, 404):
            return _page("ended", error.status)
        return _asked(error, hint)
    return _page("back" if rating.withdrawn else "thanks")


def _proved(request: web.Request) -> Link:
    return request.app[SERVICE].links.read(request.match_info["link"], now_s=time.time())


async def _form(request: web.Request) -> Mapping[str, str]:
    """What the page's form says; a browser sends it in the page's own encoding, which is UTF-8."""
    body = await edge.read_body(request)
    charset = request.charset or "utf-8"
    if request.content_type != _FORM or charset.lower() not in ("utf-8", "utf8"):
        raise InvalidError(f"the form cannot be read: send it as {_FORM}, in UTF-8")
    try:
        said = parse_qsl(
            body.decode().rstrip(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        raise InvalidError("the form cannot be read: send it once more") from None
    for name in ("say", "hint"):
        if sum(name == each for each, _ in said) > 1:
            raise InvalidError(f"{name} is said twice: say it once", param=name)
    return dict(said)


def _rating(form: Mapping[str, str]) -> Rating:
    said = form.get("say")
    if said not in _SAID:
        raise InvalidError("choose one of the buttons", param="say")
    rating = _SAID[said]
    # Browsers count a line break as one character, and send two.
    wish = words(form.get("hint", "").replace("\r\n", "\n"))
    if rating.withdrawn or wish is None:
        return rating
    if len(wish) > MAX_CHARS:
        raise InvalidError(
            f"at most {MAX_CHARS:,} characters are taken, and these are {len(wish):,}: shorten it",
            param="hint",
        )
    return Rating(rating.score, hint=wish)


def _asked(error: ApiError | None = None, hint: str = "") -> web.Response:
    """The form; with an error, why what was sent is not kept, and the words that were sent."""
    problem = ""
    if error is not None:
        said = html.escape(error.message)
        problem = f'<p class="problem" role="alert">It is not kept: {said}.</p>'
    return _page("rate", error.status if error else 200, problem=problem, hint=html.escape(hint))


def _page(name: str, status: int = 200, **parts: str) -> web.Response:
    main = Template(_read(name)).substitute(parts)
    text = Template(_read("frame")).substitute(title=_TITLES[name], main=main)
    return web.Response(text=text, status=status, headers=_HEADERS)


@cache
def _read(name: str) -> str:
    return (_FOLDER / f"{name}.html").read_text(encoding="utf-8")

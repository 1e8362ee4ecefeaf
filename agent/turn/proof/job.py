"""What is to be compiled of one request, and how: the same work here and in another process.

Knows nothing of processes, limits or who waits.
"""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from agent.constrain.contract import Compiler
from agent.errors import InvalidError
from agent.tools.families import FORMATS
from agent.tools.format import Format
from agent.turn.held.constraint import Constraint, TextForm
from agent.turn.held.held import Held, Rest, hold, hold_rest, possible
from streams.records import Json

_FORMATS = {form.name: form for form in FORMATS}


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be compiled.

    asked: the form of a reply, or a call of a tool that is gone on with
    tools: those on offer, in OpenAI's form
    form: in which the model writes calls
    several: whether more than one tool may be called
    begun: the message that the reply goes on with
    eases: tools whose schemas cannot be kept to are called with any object, not refused
    """

    asked: Constraint | Rest
    tools: tuple[Json, ...]
    form: Format
    several: bool = True
    begun: str = ""
    eases: bool = False


def done(job: Job, compiler: Compiler | None) -> tuple[Held | None, Job]:
    """Compile. Takes its time, so not in the event loop.

    returns: None where the rest of a call cannot be held; and the job as it could be done, its
        tools eased
    raises: InvalidError, which names the parameter and what is wrong with it
    """
    if isinstance(job.asked, Rest):
        return hold_rest(job.asked, job.tools, compiler=compiler, form=job.form), job
    compiled = partial(
        hold, job.asked, compiler=compiler, form=job.form, several=job.several, begun=job.begun
    )
    try:
        return compiled(job.tools), job
    except InvalidError:
        if not job.eases or compiler is None:
            raise
    job = replace(job, tools=tuple(possible(job.tools, compiler=compiler)), eases=False)
    return compiled(job.tools), job


def written(job: Job) -> bytes:
    """Write a job as JSON; the same job is the same bytes. What it says for people is left out."""
    return json.dumps(
        {
            "asked": _written(job.asked),
            "tools": job.tools,
            "form": job.form.name,
            "several": job.several,
            "begun": job.begun,
            "eases": job.eases,
        }
    ).encode()


def _written(asked: Constraint | Rest) -> dict[str, Any]:
    if isinstance(asked, Rest):
        return {"name": asked.name, "arguments": asked.arguments, "listed": asked.listed}
    text = asked.text
    return {
        "param": asked.param,
        "text": text and {"kind": text.kind, "body": text.body, "loose": text.loose},
        "calls": asked.calls,
        "loose": sorted(asked.loose),
    }


def read(data: bytes) -> Job:
    """Read what `written` wrote."""
    told = json.loads(data)
    asked, tools = _read(told.pop("asked")), tuple(told.pop("tools"))
    return Job(asked, tools, _FORMATS[told.pop("form")], **told)


def _read(told: dict[str, Any]) -> Constraint | Rest:
    if "param" not in told:
        return Rest(**told)
    if (text := told["text"]) is not None:
        body = tuple(text["body"]) if text["kind"] == "choice" else text["body"]
        text = TextForm(text["kind"], body, text["loose"])
    return Constraint(told["param"], text, tuple(told["calls"]), frozenset(told["loose"]))

"""Probe: how much a version prefers a right call of a tool over invalid and needless ones.

Beside the right call stand one of a tool that is not offered and one without its arguments; where
no tool can help, an answer in words stands beside a call of the first one offered.
"""

from learner.safety.probe import FallProbe, Measurement, Probe, led
from learner.safety.prompts.sets import Argument, ToolCalls, ToolRequest, load_set
from learner.safety.readings.asking import Subject
from learner.safety.readings.choices import Choice, TokenIds
from learner.safety.readings.phrasings import phrased, spread_over
from learner.safety.readings.sets import Sets
from learner.settings import LearnerSettings
from streams.records import Json, Message

# What stands for an answer where no tool can help.
_IN_WORDS = "None of my tools can do that, but"
_UNKNOWN = "run_anything"


def choices(sets: Sets) -> list[Choice]:
    """Return requests with tools in five phrasings, with right and wrong calls of them."""
    found = load_set("tool_calls", ToolCalls)
    offered = {tool.function.name: tool.model_dump() for tool in found.tools}
    asked = [item for item in found.items if item.call is None or _spelled_out(item)]
    return [
        _choice(sets, item, wording, [offered[name] for name in item.tools])
        for item in spread_over(asked, sets.count)
        for wording in phrased(item.request)
    ]


def _choice(sets: Sets, item: ToolRequest, wording: str, tools: list[Json]) -> Choice:
    messages = [Message(role="user", content=wording)]

    def call(name: str, arguments: Json) -> TokenIds:
        return sets.call(messages, tools, name, arguments)

    if item.call is None:
        needless = call(item.tools[0], {})
        said = sets.tokens(_IN_WORDS)
        return Choice(item.id, sets.prompt(messages, tools), said, (needless,), "mean")
    arguments = {name: value_of(check) for name, check in item.call.arguments.items()}
    wrong = [call(_UNKNOWN, arguments)]
    if arguments:
        wrong.append(call(item.call.name, {}))
    right = call(item.call.name, arguments)
    return Choice(item.id, sets.prompt(messages, tools), (right,), tuple(wrong), "mean")


def value_of(check: Argument) -> str | int | float:
    """Return a right value of an argument."""
    if check.equals is not None:
        return check.equals
    return check.any_of[0] if check.any_of else ""


def _spelled_out(item: ToolRequest) -> bool:
    """Return whether every argument of the right call is known as it is written."""
    assert item.call is not None  # the caller asks of such only
    return all(check.regex is None for check in item.call.arguments.values())


def ask(subject: Subject) -> Measurement:
    """Score right and wrong calls after each request."""
    return led(subject.questions.sets.leads("calls", subject.decoder, choices))


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    title, limit = "lead of right tool calls over invalid ones", settings.gate_lead_nats
    return FallProbe("calls", 1, title, "nats a token", ask, limit=limit, worst=0)

"""Counts what the agent does, for Prometheus (GET /metrics); every name begins with quickset_.

A registry of its own, so that two agents in one process (tests) do not add up. Gauges are read at
the scrape: what they tell is the state then, and costs nothing before.

Knows numbers only, not which alarms they ring.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric

from agent.watch.gaps import Gaps
from streams.line.variant import Variant

CONTENT_TYPE = CONTENT_TYPE_LATEST

REPLY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

# What counters that tell of faults, or of what is rare, may say by their labels: such a series is
# there from the start. increase() and rate() compare with an earlier sample, so one that began with
# its first fault would hide that.
VERBS: Final = ("promote", "promote-full", "step", "skip-step", "rollback", "reset")
CAUSES: Final = ("SwapError", "UnknownVersionError", "CandidateLacking")
REFUSALS: Final = ("role", "csrf", "origin", "step-up", "locked-out", "wrong-key")
LIMITS: Final = ("requests_per_minute", "replies_per_key")
FORM_LIMITS: Final = ("time", "memory", "crash")
SCORES: Final = ("1", "0", "-1", "withdrawn")
WAYS: Final = ("api", "link", "langfuse", "openwebui")
FAULTS: Final = ("malformed", "unknown", "cut")
UNSEEN: Final = ("made", "failed", "crowded", "preempted", "late")

Sample = tuple[str, str, float]  # name, what it is, value


@dataclass(frozen=True, slots=True)
class Family:
    """Figures that are told apart by labels.

    counts: whether they only grow
    rows: values of the labels, and the figure
    """

    name: str
    text: str
    labels: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], float], ...]
    counts: bool = False


# Figures that must be waited for; None: none in time, and those of the scrape before it stay.
Source = Callable[[], Awaitable[Sequence[Sample | Family] | None]]

# What answered, as labels: lines are those of the settings. A version is none: versions come by the
# minute, and each would leave a series behind for ever. quickset_serving_info says which serves,
# the turns say what a single one did.
VARIANT = ("line", "member")


def labels_of(variant: Variant) -> tuple[str, str]:
    """The values of VARIANT.

    >>> labels_of(Variant("main", "1f2e", 3))
    ('main', 'true')
    """
    return variant.line, str(variant.member >= 0).lower()


class Readable(Protocol):
    """The rest, read at a scrape (agent.status.Status)."""

    def info(self) -> dict[str, str]: ...

    def gauges(self) -> list[Sample]: ...

    def counters(self) -> list[Sample]: ...


class Metrics:
    """The agent's counters and histograms."""

    def __init__(self, line: str | None = None) -> None:
        """Start at nought. line: that answers here; what is told apart by it is there from now"""
        variants = tuple(product((line,) if line is not None else (), ("false", "true")))
        # A second series of every metric, of which Prometheus makes nothing.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._source: Source | None = None
        self._waited_for = _Gauges()
        self.registry.register(self._waited_for)
        ProcessCollector(registry=self.registry)
        count, time = self._counter, self._histogram
        self.requests = count("requests", "HTTP requests", "route", "status")
        self.replies = count(
            "replies", "Replies, choices counted singly", "finish_reason", *VARIANT
        )
        self.turns = count("turns", "Turns given to the spool", "purpose", "learn")
        self.tokens = count("tokens", "Tokens read and sampled", "kind")
        self.cut_prompts = count("truncated_prompts", "Prompts without their oldest exchanges")
        self.feedback = count(
            "feedback", "Feedback taken", "score", "way", known=product(SCORES, WAYS)
        )
        self.tool_calls = count("tool_calls", "Tool calls in replies", *VARIANT)
        self.tool_parse_failures = count(
            "tool_parse_failures", "What was meant as a tool call and is none", "fault", *VARIANT,
            known=((fault, *variant) for fault in FAULTS for variant in variants),
        )  # fmt: skip
        self.retried_calls = count(
            "retried_tool_calls", "Replies that were sampled again, held to a call", *VARIANT,
            known=variants,
        )  # fmt: skip
        self.note_tokens = count(
            "note_tokens", "Prompt tokens of notes: spent, and saved by retired ones", "what",
            known=(("spent",), ("saved",)),
        )  # fmt: skip
        self.served_calls = count(
            "server_tool_calls", "Calls of tools of agent.tools", "server", "outcome"
        )
        self.server_breaks = count(
            "tool_server_breaks", "Connections to servers of agent.tools that ended", "server"
        )
        self.server_up = Gauge(
            "quickset_tool_server_up",
            "1 while a server of agent.tools can be called.",
            ("server",),
            registry=self.registry,
        )
        self.fallbacks = count(
            "fallbacks", "Replies of what serves where another version failed to begin", *VARIANT,
            known=variants,
        )  # fmt: skip
        self.unseen = count(
            "unseen_replies", "Replies of a candidate that nobody sees (shadow)", "outcome",
            known=product(UNSEEN),
        )  # fmt: skip
        self.swaps = count("swaps", "Changes of the serving version", "verb", known=product(VERBS))
        self.failed_swaps = count(
            "failed_swaps", "Versions that failed a check", "cause", known=product(CAUSES)
        )
        self.unreadable = count("unreadable_records", "Records that this agent cannot use")
        self.operator_refusals = count(
            "operator_refusals", "Requests that the console refused to let in", "why",
            known=product(REFUSALS),
        )  # fmt: skip
        self.console_pages = count(
            "console_pages", "Views of the console that were read", "view", "form"
        )
        self.comparisons = count(
            "comparisons", "Comparisons of two versions for operators", "outcome",
            known=(("answered",), ("refused",)),
        )  # fmt: skip
        self.limited = count(
            "limited", "Requests refused by a key's limit", "limit", known=product(LIMITS)
        )
        self.limited_forms = count(
            "limited_forms", "Requests refused because a form takes too much to compile", "limit",
            known=product(FORM_LIMITS),
        )  # fmt: skip
        self.request_s = time("request", "Request in to response out", REPLY_BUCKETS, "route")
        self.first_token_s = time(
            "time_to_first_token", "Request in to first token out", REPLY_BUCKETS, *VARIANT
        )
        self.token_gap_s = Gaps(
            "quickset_inter_token_seconds", "Gap between two tokens of a reply.", VARIANT
        )
        self.registry.register(self.token_gap_s)
        self.swap_s = time("swap", "Rebuilding and proving a version, aside", REPLY_BUCKETS)

    def read(self, status: Callable[[], Readable]) -> None:
        """Read the state by this function at each scrape."""
        self.registry.register(_State(status))

    def wait_for(self, source: Source) -> None:
        """Ask this at each scrape, too."""
        self._source = source

    async def text(self) -> bytes:
        """Everything in Prometheus's text format."""
        found = await self._source() if self._source else None
        if found is not None:
            self._waited_for.samples = found
        return generate_latest(self.registry)

    def _counter(
        self, name: str, text: str, *labels: str, known: Iterable[Sequence[str]] = ()
    ) -> Counter:
        """Make a counter. known: values of its labels that are told from the start, at nought"""
        counter = Counter(f"quickset_{name}", f"{text}.", labels, registry=self.registry)
        for values in known:
            counter.labels(*values)
        return counter

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"quickset_{name}_seconds", f"{text}.", labels, buckets=buckets, registry=self.registry
        )


class _Gauges:
    """A collector of figures that were read before."""

    def __init__(self) -> None:
        self.samples: Sequence[Sample | Family] = ()

    def collect(self) -> Iterator[Metric]:
        for each in self.samples:
            if isinstance(each, Family):
                yield _family(each)
                continue
            name, text, value = each
            yield GaugeMetricFamily(f"quickset_{name}", f"{text}.", value)


def _family(each: Family) -> Metric:
    kind = CounterMetricFamily if each.counts else GaugeMetricFamily
    family = kind(f"quickset_{each.name}", f"{each.text}.", labels=each.labels)
    for values, figure in each.rows:
        family.add_metric(list(values), figure)
    return family


class _State:
    """A collector: reads the agent's state when Prometheus asks."""

    def __init__(self, status: Callable[[], Readable]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        yield InfoMetricFamily("quickset_serving", "The version that serves.", status.info())
        for name, text, value in status.gauges():
            yield GaugeMetricFamily(f"quickset_{name}", f"{text}.", value)
        for name, text, value in status.counters():
            yield CounterMetricFamily(f"quickset_{name}", f"{text}.", value)

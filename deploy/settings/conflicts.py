"""Contradictions between settings that are each fine alone: one sentence a contradiction.

Knows what the settings mean together; knows nothing of where they came from.
"""

import re
from collections.abc import Iterator, Mapping

from agent.settings import AgentSettings, is_loopback
from learner.errors import UnknownNameError
from learner.judges.open import JUDGES
from learner.safety.probes.open import PROBES
from learner.settings import LearnerSettings, chosen
from streams.settings import RolloutSettings, StreamsSettings, masked
from streams.store.store import store_url

_HASH = re.compile("[0-9a-fA-F]{64}")


def conflicts(
    streams: StreamsSettings,
    agent: AgentSettings,
    learner: LearnerSettings,
    rollout: RolloutSettings,
) -> Iterator[str]:
    """Return one sentence for each pair of settings that cannot both be meant."""
    yield from _streams(streams)
    yield from _agent(agent)
    may_promote = [each for each in agent.operator_keys.values() if each.role != "viewer"]
    if rollout.policy == "two-person" and len(may_promote) < 2:
        yield (
            "rollout.policy is two-person, but agent.operator_keys names fewer than two operators: "
            "without keys nobody can be told apart"
        )
    if learner.strategy == "randopt" and learner.top_k > 2 * learner.pairs:
        yield (
            f"learner.top_k is {learner.top_k}, but learner.pairs {learner.pairs} gives only "
            f"{2 * learner.pairs} members"
        )
    for setting, names, known in (
        ("learner.judges", learner.judges, JUDGES),
        ("learner.probes", learner.probes, PROBES),
        ("learner.quick_probes", learner.quick_probes, PROBES),
        ("learner.optional_probes", learner.optional_probes, PROBES),
    ):
        try:
            chosen(setting, names, known)
        except UnknownNameError as cause:
            yield str(cause)
    yield from _probes(learner)
    yield from _verifiers(learner)


def _probes(learner: LearnerSettings) -> Iterator[str]:
    # A default is of all probes, and means those of them that are asked.
    for field in ("quick_probes", "optional_probes"):
        lost = [name for name in getattr(learner, field) if name not in learner.probes]
        known = [name for name in lost if name in PROBES]
        if known and field in learner.model_fields_set:
            yield (
                f"learner.{field} names {known[0]!r}, but learner.probes, which is"
                f" {', '.join(learner.probes)}, lacks it: nobody would ask it"
            )


def _verifiers(learner: LearnerSettings) -> Iterator[str]:
    for judge, has, asked in (
        ("verifier", "an answer or a schema", [v for v in learner.verifiers if not v.program]),
        ("program", "a program", [v for v in learner.verifiers if v.program]),
    ):
        if asked and judge not in learner.judges:
            yield (
                f"learner.verifiers.{asked[0].name} has {has}, but learner.judges, which is"
                f" {', '.join(learner.judges)}, lacks {judge}: nobody would ask it"
            )


def _streams(streams: StreamsSettings) -> Iterator[str]:
    if streams.log != "sqlite" and not re.fullmatch(r"kafka://[^/,@]+(,[^/,@]+)*", streams.log):
        yield (
            f"streams.log is {masked(streams.log)!r}: give sqlite or kafka://host:port[,host:port…]"
        )
    if streams.store is not None:
        try:
            store_url(streams.store)
        except ValueError as cause:
            yield f"streams.store (DATABASE_URL sets it, too): {cause}"
    if streams.spool_bytes < 2 * streams.max_record_bytes:
        yield (
            f"streams.spool_bytes {streams.spool_bytes} cannot hold one record of "
            f"streams.max_record_bytes {streams.max_record_bytes}: give at least twice that"
        )
    yield from _sasl(streams)
    yield from _tls(streams)


def _sasl(streams: StreamsSettings) -> Iterator[str]:
    sasl = {
        "streams.sasl_mechanism": streams.sasl_mechanism,
        "streams.sasl_username": streams.sasl_username,
        "streams.sasl_password_file": streams.sasl_password_file,
    }
    if streams.security_protocol.startswith("SASL"):
        for name in (name for name, value in sasl.items() if value is None):
            yield f"streams.security_protocol {streams.security_protocol} needs {name}"
    else:
        for name in (name for name, value in sasl.items() if value is not None):
            yield (
                f"{name} is set, but streams.security_protocol is {streams.security_protocol}: "
                "set SASL_SSL or SASL_PLAINTEXT"
            )


def _tls(streams: StreamsSettings) -> Iterator[str]:
    for name in ("tls_ca", "tls_certificate", "tls_key"):
        if getattr(streams, name) is not None and not streams.security_protocol.endswith("SSL"):
            yield (
                f"streams.{name} is set, but streams.security_protocol is "
                f"{streams.security_protocol}: set SSL or SASL_SSL"
            )
    if (streams.tls_certificate is None) != (streams.tls_key is None):
        yield "streams.tls_certificate and streams.tls_key need each other: set both or neither"


def _agent(agent: AgentSettings) -> Iterator[str]:
    if agent.port == agent.console_port != 0:
        yield f"agent.port and agent.console_port are both {agent.port}: the console needs its own"
    if not is_loopback(agent.console_host) and not agent.operator_keys:
        yield (
            f"agent.console_host {agent.console_host} can be reached from other machines: "
            "set agent.operator_keys first, or bind 127.0.0.1"
        )
    if 0 < agent.kv_tokens < agent.context_tokens:
        yield (
            f"agent.kv_tokens {agent.kv_tokens} cannot hold one conversation of "
            f"agent.context_tokens {agent.context_tokens}"
        )
    if agent.requests_per_minute and not agent.keys:
        yield (
            f"agent.requests_per_minute {agent.requests_per_minute} limits each API key: name some "
            "in agent.keys, without them nobody can be told apart"
        )
    yield from _keys("agent.keys", agent.keys)
    hashes = {name: each.hash for name, each in agent.operator_keys.items()}
    yield from _keys("agent.operator_keys", hashes)


def _keys(name: str, keys: Mapping[str, str]) -> Iterator[str]:
    for owner, digest in keys.items():
        if not _HASH.fullmatch(digest):
            yield (
                f"{name}.{owner} must be the SHA-256 of the key in hex, never the key itself: "
                "printf %s KEY | sha256sum"
            )

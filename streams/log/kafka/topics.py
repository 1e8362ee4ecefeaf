"""The topics on Kafka: made explicitly, with what each promises; never by a typing error.

A session's records share a key, so its partition count may never change: with another one, the next
record of a session would land behind another partition's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from streams.errors import SchemaError
from streams.log.kafka.client import (
    ConfigResource,
    ConfigResourceType,
    KafkaAdminClient,
    Patience,
    batch_bytes,
    connection,
    open_client,
    translated,
)
from streams.log.kafka.limit import within
from streams.settings import StreamsSettings

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """What a topic must be."""

    partitions: int
    replication: int
    configs: Mapping[str, str]


def plan(settings: StreamsSettings) -> dict[str, TopicPlan]:
    """Return what each topic must be, by its name on the cluster."""
    kept = {
        "cleanup.policy": "delete",
        "retention.ms": str(settings.retention_days * DAY_MS),
        "retention.bytes": "-1",
    }
    # What serves and why, and what is forgotten, is decided by reading these from the beginning.
    for_ever = kept | {"retention.ms": "-1"}
    # A closed letter replaces the letter, by key: compaction takes the payload away.
    letters = kept | {"cleanup.policy": "compact,delete"}
    common = {
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(batch_bytes(settings.max_record_bytes)),
        # With three copies, one may be down and none is lost; with fewer, all must take it.
        "min.insync.replicas": str(max(1, settings.replication - 1)),
        "unclean.leader.election.enable": "false",
    }
    many, one = settings.partitions, 1
    chosen = {
        "turns": (many, kept),
        "feedback": (many, kept),
        "judgements": (many, kept),
        "recipes": (one, for_ever),
        "rollouts": (one, for_ever),
        "dead-letters": (one, letters),
        "forgotten": (one, for_ever),
        "notes": (one, for_ever | {"cleanup.policy": "compact"}),
    }
    return {
        settings.topic_prefix + topic: TopicPlan(partitions, settings.replication, common | configs)
        for topic, (partitions, configs) in chosen.items()
    }


def init_topics(settings: StreamsSettings) -> list[str]:
    """Make the missing topics, and set what differs of the configuration of the others.

    returns: what was done, one line each; nothing on a second call
    raises: LogUnavailableError; SchemaError when a topic has another number of partitions or
        copies than the settings ask for (nothing is changed then)
    """
    patience = Patience()
    with translated():
        # One limit for all of it, which is five requests at most.
        return within(patience.call_s, partial(_init, settings, patience))


def _init(settings: StreamsSettings, patience: Patience) -> list[str]:
    wanted = plan(settings)
    admin: Any = open_client(KafkaAdminClient, **connection(settings, patience))
    try:
        present = {t["name"]: t for t in admin.describe_topics() if t["name"] in wanted}
        for topic, found in present.items():
            _prove_fits(topic, found, wanted[topic])
        done = _make(admin, {t: p for t, p in wanted.items() if t not in present})
        return done + _configure(admin, {t: p for t, p in wanted.items() if t in present})
    finally:
        admin.close()


def _prove_fits(topic: str, found: Mapping[str, Any], wanted: TopicPlan) -> None:
    partitions = found["partitions"]
    if len(partitions) != wanted.partitions:
        raise SchemaError(
            f"topic {topic} has {len(partitions)} partitions and the settings ask for"
            f" {wanted.partitions}: a session's order rests on that number; set"
            f" streams.partitions to {len(partitions)}, or start with new topics"
        )
    copies = {len(partition["replica_nodes"]) for partition in partitions}
    if copies != {wanted.replication}:
        raise SchemaError(
            f"topic {topic} has {sorted(copies)} copies and the settings ask for"
            f" {wanted.replication}: reassign its replicas, or set streams.replication"
        )


def _make(admin: Any, missing: Mapping[str, TopicPlan]) -> list[str]:
    if not missing:
        return []
    admin.create_topics(
        {
            topic: {
                "num_partitions": wanted.partitions,
                "replication_factor": wanted.replication,
                "configs": dict(wanted.configs),
            }
            for topic, wanted in missing.items()
        },
        wait_for_metadata=True,
    )
    return [
        f"made topic {topic}: {wanted.partitions} partitions, {wanted.replication} copies,"
        f" retention.ms {wanted.configs['retention.ms']}, {wanted.configs['cleanup.policy']}"
        for topic, wanted in missing.items()
    ]


def _configure(admin: Any, present: Mapping[str, TopicPlan]) -> list[str]:
    if not present:
        return []
    asked = [
        ConfigResource(ConfigResourceType.TOPIC, topic, list(wanted.configs))
        for topic, wanted in present.items()
    ]
    found = admin.describe_configs(asked, config_filter="all")["topic"]
    done: list[str] = []
    changes = []
    for topic, wanted in present.items():
        differs = {
            name: value
            for name, value in wanted.configs.items()
            if found[topic][name]["value"] != value
        }
        if differs:
            changes.append(ConfigResource(ConfigResourceType.TOPIC, topic, differs))
            done += [f"set {name} of topic {topic} to {v}" for name, v in differs.items()]
    if changes:
        admin.alter_configs(changes)
    return done

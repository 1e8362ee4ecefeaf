"""Opens the log, spool, snapshots and retention that settings name; the only place that chooses."""

from functools import partial

from streams.keeping.retention import Retention
from streams.line.snapshots import Snapshots
from streams.log.contract import Log
from streams.log.sqlite import SqliteLog
from streams.settings import StreamsSettings
from streams.spool.spool import Spool

KAFKA_SCHEME = "kafka://"
# How long a record waits for others who write to the embedded log before it goes to the spool's own
# file: more than an append takes, and less than a caller waits to hear that a verdict is kept.
DIRECT_S = 1.0


def open_log(settings: StreamsSettings) -> Log:
    """Open the embedded log, or connect to Kafka.

    raises: ValueError when the setting names neither; SchemaError; ExtraMissingError
    """
    if settings.log == "sqlite":
        path = settings.home.expanduser() / "log.db"
        return SqliteLog(path, max_record_bytes=settings.max_record_bytes)
    if settings.log.startswith(KAFKA_SCHEME):
        from streams.log.kafka.log import KafkaLog

        return KafkaLog(settings)
    raise ValueError(f"log {settings.log!r}: choose sqlite, or kafka://host:port[,host:port…]")


def open_spool(settings: StreamsSettings, log: Log) -> Spool:
    """Open this process's spool before a log: the embedded log itself, while it takes records."""
    direct = partial(log.append, busy_s=DIRECT_S) if isinstance(log, SqliteLog) else None
    return Spool(settings.home.expanduser() / "spool", log, settings, direct=direct)


def open_snapshots(settings: StreamsSettings) -> Snapshots | None:
    """Name the folder of snapshots; None when the settings want none."""
    if settings.snapshot_every == 0:
        return None
    return Snapshots(
        (settings.snapshots or settings.home / "snapshots").expanduser(),
        every=settings.snapshot_every,
        keep=settings.snapshots_kept,
    )


def open_retention(settings: StreamsSettings, log: Log, *, line: str, group: str) -> Retention:
    """Make what prunes a line's rows in the store, and the log where it does not prune by itself.

    group: the consumer group of the line
    """
    pruned = log if isinstance(log, SqliteLog) else None
    return Retention(settings.retention_days, line=line, group=group, log=pruned)


def init_streams(settings: StreamsSettings) -> list[str]:
    """Make what is missing of the log, and prove that what is there fits the settings.

    returns: what was done, one line each; empty when nothing was missing
    raises: LogUnavailableError; SchemaError when a topic is there but does not fit (untouched)
    """
    if settings.log.startswith(KAFKA_SCHEME):
        from streams.log.kafka.topics import init_topics

        return init_topics(settings)
    made = not (settings.home.expanduser() / "log.db").exists()
    open_log(settings).close()
    return [f"made the log {settings.home / 'log.db'}"] if made else []

"""kafka-python, as we use it: clients made from settings, its errors in our words.

The only file that imports kafka-python. Its calls block and its clients are threads with sockets;
they are kept off every event loop (the agent's spool, the readers' own threads).
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from streams.errors import ExtraMissingError, LogUnavailableError, RecordTooLargeError
from streams.log.kafka.limit import NoAnswerError, within
from streams.settings import StreamsSettings, secret_in

try:
    from kafka import (
        ConsumerRebalanceListener,
        KafkaAdminClient,
        KafkaConsumer,
        KafkaProducer,
        TopicPartition,
    )
    from kafka.admin import ConfigResource, ConfigResourceType
    from kafka.errors import (
        KafkaConfigurationError,
        KafkaError,
        KafkaTimeoutError,
        MessageSizeTooLargeError,
        RecordListTooLargeError,
    )
    from kafka.net.compat import KafkaNetClient
    from kafka.structs import MemberState
except ModuleNotFoundError as missing:
    raise ExtraMissingError(
        "a Kafka log needs the package kafka-python: pip install 'quickset[kafka]'"
    ) from missing

__all__ = [
    "CHUNK_BYTES",
    "CLOSE_S",
    "ID_HEADER",
    "ConfigResource",
    "ConfigResourceType",
    "ConsumerRebalanceListener",
    "KafkaAdminClient",
    "KafkaConsumer",
    "KafkaError",
    "KafkaProducer",
    "KafkaTimeoutError",
    "MemberState",
    "Patience",
    "TopicPartition",
    "abandon",
    "batch_bytes",
    "connection",
    "end",
    "open_client",
    "servers",
    "translated",
]

Client = TypeVar("Client")

_log = logging.getLogger(__name__)

ID_HEADER = "id"  # the header that carries a record's id
# Sent in one go: large enough to hide a round trip, small enough for one batch a partition.
CHUNK_BYTES = 2**20
# What a batch needs beside keys and values: its own header, and each record's id and lengths.
OVERHEAD_BYTES = 64 * 1024
CLOSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the clients wait, seconds."""

    bootstrap_s: float = 5.0  # for a first broker; the agent spools meanwhile
    request_s: float = 10.0
    append_s: float = 10.0  # then an append says that Kafka is away
    reconnect_s: float = 2.0  # a broker that comes back is found within this
    metadata_s: float = 30.0  # topics that are made while we run are seen within this
    session_s: float = 15.0  # a member of a group whose process died is replaced after this
    # A member that does not poll for this long is put out of its group. The learner computes
    # between two polls; the lease says which process may write, not the group.
    max_poll_s: float = 600.0
    # No call takes as long as this unless the client hangs: some requests in a row that each time
    # out, and connections before them.
    call_s: float = 60.0
    join_s: float = 660.0  # nor does a rebalance, which waits max_poll_s for members that compute


def batch_bytes(max_record_bytes: int) -> int:
    """Return the largest batch that we send, and that a topic must take."""
    return max(max_record_bytes, CHUNK_BYTES) + OVERHEAD_BYTES


def servers(settings: StreamsSettings) -> list[str]:
    """Read host:port[,host:port…] from the log setting kafka://…

    >>> servers(StreamsSettings(log="kafka://a:9092,b:9092"))
    ['a:9092', 'b:9092']
    """
    named = settings.log.removeprefix("kafka://").rstrip("/")
    found = [server.strip() for server in named.split(",") if server.strip()]
    if not found or any("/" in server for server in found):
        raise ValueError(f"log {settings.log!r}: name it kafka://host:port[,host:port…]")
    return found


def connection(settings: StreamsSettings, patience: Patience) -> dict[str, Any]:
    """Return the settings that every client shares: where, as whom, and how patiently."""
    configuration: dict[str, Any] = {
        "bootstrap_servers": servers(settings),
        "client_id": "quickset",
        "security_protocol": settings.security_protocol,
        "bootstrap_timeout_ms": int(patience.bootstrap_s * 1000),
        "request_timeout_ms": int(patience.request_s * 1000),
        "metadata_max_age_ms": int(patience.metadata_s * 1000),
        "reconnect_backoff_max_ms": int(patience.reconnect_s * 1000),
    }
    if settings.tls_ca is not None:
        configuration["ssl_cafile"] = str(settings.tls_ca.expanduser())
    if settings.tls_certificate is not None:
        configuration["ssl_certfile"] = str(settings.tls_certificate.expanduser())
    if settings.tls_key is not None:
        configuration["ssl_keyfile"] = str(settings.tls_key.expanduser())
    if settings.sasl_mechanism is not None:
        configuration["sasl_mechanism"] = settings.sasl_mechanism
        configuration["sasl_plain_username"] = settings.sasl_username
        if settings.sasl_password_file is not None:
            secret = secret_in("streams.sasl_password_file", settings.sasl_password_file)
            configuration["sasl_plain_password"] = secret.decode()
    return configuration


def open_client(make: Callable[..., Client], **configuration: Any) -> Client:
    """Connect a client; one that cannot connect leaves no thread or socket behind.

    raises: LogUnavailableError
    """
    # While a broker is away, kafka-python logs every refused connection, several a second, as an
    # error; what its callers have to know is raised.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    opened: list[Any] = []

    def network(**given: Any) -> Any:
        opened.append(KafkaNetClient(**given))
        return opened[-1]

    try:
        with translated():
            return make(kafka_client=network, **configuration)
    except BaseException:
        for client in opened:
            client.close()
        raise


def end(consumer: Any) -> None:
    """Close a consumer, which leaves its group; one that does not close is left behind.

    Its heartbeats end then, so that others have its partitions after the session.
    """
    try:
        within(
            2 * CLOSE_S, partial(consumer.close, autocommit=False, timeout_ms=int(CLOSE_S * 1000))
        )
    except NoAnswerError:
        _log.warning("a reader's connection to Kafka could not be closed and is left behind")
        consumer._net.stop(timeout_ms=int(CLOSE_S * 1000))


def abandon(consumer: Any) -> None:
    """Close a consumer that hangs, without waiting for it."""

    def run() -> None:
        try:
            end(consumer)
        except Exception:
            _log.warning(
                "a reader's connection to Kafka was given up and not closed", exc_info=True
            )

    threading.Thread(target=run, name="kafka-end", daemon=True).start()


@contextmanager
def translated() -> Iterator[None]:
    """Raise kafka-python's errors as ours."""
    try:
        yield
    except (MessageSizeTooLargeError, RecordListTooLargeError) as cause:
        raise RecordTooLargeError(
            "the broker refuses a record of this size (quickset streams init brings its topics to"
            f" streams.max_record_bytes): {cause}"
        ) from cause
    except KafkaConfigurationError:
        raise  # our mistake, which no waiting mends
    except (KafkaError, OSError) as cause:
        raise LogUnavailableError(f"Kafka cannot be used now: {cause}") from cause

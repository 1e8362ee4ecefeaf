"""Kafka behind TLS and SASL: the settings reach it, and what is wrong is refused, not hung on."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.errors import LogUnavailableError
from streams.log.contract import Entry, Outgoing
from streams.log.kafka.client import Patience
from streams.log.kafka.log import KafkaLog
from streams.log.kafka.topics import init_topics
from streams.settings import StreamsSettings
from tests.kafka_broker import KafkaBroker, kafka_home

pytestmark = [
    pytest.mark.kafka,
    # kafka-python leaves the sockets of refused connections to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
]

EXTRA = """
listener.name.sasl_plaintext.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="open sesame";
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.ssl.ssl.keystore.type=PEM
listener.name.ssl.ssl.keystore.location={folder}/server.pem
listener.name.ssl.ssl.truststore.type=PEM
listener.name.ssl.ssl.truststore.location={folder}/ca.pem
listener.name.ssl.ssl.client.auth=required
"""
QUICK = Patience(bootstrap_s=3, request_s=3, append_s=5)


def certify(folder: Path) -> None:
    """Make an authority, and a certificate of the broker by it, for 127.0.0.1."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "san.txt").write_text("subjectAltName=IP:127.0.0.1")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=broker",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.crt"
        " -days 2 -extfile san.txt",
        "req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=agent",
        "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -out client.crt -days 2",
        "req -x509 -newkey rsa:2048 -nodes -keyout x.key -out stranger.pem -days 2 -subj /CN=x",
    ):
        subprocess.run(
            ["openssl", *command.split()], cwd=folder, check=True, capture_output=True, timeout=60
        )
    key, certificate = (folder / "server.key").read_text(), (folder / "server.crt").read_text()
    (folder / "server.pem").write_text(key + certificate)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that listens with TLS and with SASL, too."""
    if kafka_home() is None:
        pytest.skip("no Kafka: set KAFKA_HOME to the folder of an Apache Kafka 4")
    if shutil.which("openssl") is None:
        pytest.skip("no certificates: install openssl")
    folder = tmp_path_factory.mktemp("secure")
    certify(folder)
    started = KafkaBroker(
        folder,
        listeners=("SSL", "SASL_PLAINTEXT"),
        extra=EXTRA.format(folder=folder),
        format_options=("--add-scram", "SCRAM-SHA-512=[name=alice,password=open sesame]"),
    )
    started.start()
    yield started
    started.stop()


def settings(broker: KafkaBroker, protocol: str, **values: object) -> StreamsSettings:
    return StreamsSettings.model_validate(
        {
            "log": f"kafka://127.0.0.1:{broker.ports[protocol]}",
            "topic_prefix": f"{protocol}.{values.get('sasl_mechanism', '')}.",
            "security_protocol": protocol,
            **values,
        }
    )


def round_trip(given: StreamsSettings) -> None:
    """Make the topics, append a record, and read it."""
    init_topics(given)
    log = KafkaLog(given)
    log.append([Outgoing(topic="turns", key="k", id="id-1", value=b"secret")])
    subscription = log.subscribe(["turns"], group="g", positions=lambda _: {})
    entries: list[Entry] = []
    while not entries:
        entries = subscription.poll(wait_s=1)
    subscription.close()
    log.close()
    assert [(e.id, e.value) for e in entries] == [("id-1", b"secret")]


def refused(given: StreamsSettings) -> None:
    """Prove that an append fails within the time given, and says so."""
    log = KafkaLog(given, patience=QUICK)
    with pytest.raises(LogUnavailableError):
        log.append([Outgoing(topic="turns", key="k", id="id-1", value=b"secret")])
    log.close()


def ours(broker: KafkaBroker) -> dict[str, Path]:
    """Return the settings of our own certificate."""
    folder = broker.folder
    return {"tls_certificate": folder / "client.crt", "tls_key": folder / "client.key"}


def test_tls_both_ways(broker: KafkaBroker) -> None:
    """tls_ca is what the broker's certificate is checked against, and it checks ours."""
    round_trip(settings(broker, "SSL", tls_ca=broker.folder / "ca.pem", **ours(broker)))


def test_tls_with_another_authority_is_refused(broker: KafkaBroker) -> None:
    """A broker that we cannot verify gets no record."""
    refused(settings(broker, "SSL", tls_ca=broker.folder / "stranger.pem", **ours(broker)))


def test_tls_without_our_certificate_is_refused(broker: KafkaBroker) -> None:
    """A broker that asks for it takes nothing from a stranger."""
    refused(settings(broker, "SSL", tls_ca=broker.folder / "ca.pem"))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_sasl_with_the_right_password(broker: KafkaBroker, tmp_path: Path, mechanism: str) -> None:
    """Name from the settings, password from the file they name."""
    (tmp_path / "password").write_text("open sesame\n")
    round_trip(
        settings(
            broker,
            "SASL_PLAINTEXT",
            sasl_mechanism=mechanism,
            sasl_username="alice",
            sasl_password_file=tmp_path / "password",
        )
    )


def test_sasl_with_a_wrong_password_is_refused(broker: KafkaBroker, tmp_path: Path) -> None:
    """It is said, not retried for ever."""
    (tmp_path / "password").write_text("guess")
    refused(
        settings(
            broker,
            "SASL_PLAINTEXT",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="alice",
            sasl_password_file=tmp_path / "password",
        )
    )

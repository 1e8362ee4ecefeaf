"""Settings of what crosses processes. Parsed by deploy.settings.load; every field says its unit."""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Section(BaseModel):
    """A part of the settings: immutable, and an unknown name in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSettings(Section):
    """The base model."""

    path: Path | None = Field(
        None, description="Hugging Face model directory; none: the bundled SmolLM2-135M-Instruct"
    )
    cache: Path = Field(Path("~/.cache/quickset"), description="where converted models are kept")
    device: str = Field(
        "cpu",
        description="where the weights lie and everything computes: cpu, cuda, or cuda:N",
    )
    backend: Literal["auto", "reference", "cpu", "triton"] = Field(
        "auto",
        description="arithmetic of perturbations; auto: cpu on a processor, triton on a GPU;"
        " reference: slow, to compare with",
    )

    @field_validator("device")
    @classmethod
    def _known_device(cls, name: str) -> str:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
            raise ValueError(f"unknown device {name!r}: choose cpu, cuda or cuda:N")
        return name


class StreamsSettings(Section):
    """The log, the store and the spool."""

    home: Path = Field(
        Path(".quickset"), description="folder of the embedded log, store, spool and artefacts"
    )
    log: str = Field("sqlite", description="sqlite, or kafka://host:port[,host:port…]")
    store: str | None = Field(
        None, description="SQLAlchemy URL; none: SQLite in home. DATABASE_URL sets it too"
    )
    topic_prefix: str = Field(
        "",
        pattern="^[a-zA-Z0-9._-]{0,64}$",
        description="put before the names of Kafka's topics and groups, to share a cluster",
    )
    replication: int = Field(
        1, ge=1, description="copies of each partition that `streams init` asks Kafka for"
    )
    partitions: int = Field(6, ge=1, description="partitions of turns and feedback")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    tls_ca: Path | None = Field(None, description="certificate authority of the brokers, PEM")
    tls_certificate: Path | None = Field(None, description="our certificate for the brokers, PEM")
    tls_key: Path | None = Field(None, description="its private key, PEM")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password_file: Path | None = Field(None, description="file that holds the SASL password")
    retention_days: int = Field(
        90,
        ge=1,
        description="how long turns, feedback, judgements and dead letters stay in the log, and"
        " what turns said in the store; recipes and rollouts stay for ever",
    )
    snapshots: Path | None = Field(
        None, description="folder of the snapshots, which replicas may share; none: in home"
    )
    snapshot_every: int = Field(
        50,
        ge=0,
        description="versions from one snapshot of the weights' integers to the next, so that a"
        " start repeats no more of the ledger; 0: no snapshots",
    )
    snapshots_kept: int = Field(3, ge=1, description="snapshots that are kept, the newest ones")
    max_record_bytes: int = Field(
        4 * 2**20, ge=1024, description="larger records go to dead letters"
    )
    spool_bytes: int = Field(
        256 * 2**20, ge=2**16, description="disk that may be used by what waits for the log"
    )
    spool_when_full: Literal["drop-oldest", "drop-newest"] = "drop-oldest"

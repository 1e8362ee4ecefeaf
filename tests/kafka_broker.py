"""A real Apache Kafka for tests: one KRaft node from KAFKA_HOME, that can be stopped and killed."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

# A cold JVM on two busy cores.
START_S = 60.0

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
listener.security.protocol.map={protocols}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
{extra}
"""
PROTOCOLS = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"


def kafka_home() -> Path | None:
    """Return the folder of an Apache Kafka 4, if the environment names one."""
    named = os.environ.get("KAFKA_HOME")
    return Path(named) if named and (Path(named) / "bin/kafka-server-start.sh").exists() else None


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def dies_with_us(with_signal: signal.Signals) -> list[str]:
    """Return what stands before a command, so that no server outlives tests that are killed."""
    setpriv = shutil.which("setpriv")  # util-linux; elsewhere a killed test leaves its servers
    return [setpriv, "--pdeathsig", with_signal.name.removeprefix("SIG")] if setpriv else []


class KafkaBroker:
    """One broker with its data in a folder; the ports stay the same over restarts."""

    def __init__(
        self,
        folder: Path,
        *,
        listeners: tuple[str, ...] = (),
        extra: str = "",
        format_options: tuple[str, ...] = (),
    ) -> None:
        """Format the storage; `start` starts it.

        listeners: further listeners beside PLAINTEXT, each a security protocol
        extra: further lines for server.properties
        format_options: further options for formatting the storage, such as users to add
        """
        home = kafka_home()
        if home is None:
            raise RuntimeError("KAFKA_HOME names no Apache Kafka")
        self._home = home
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.ports = {name: free_port() for name in ("PLAINTEXT", *listeners)}
        folder.mkdir(parents=True, exist_ok=True)
        self._properties = folder / "server.properties"
        self._properties.write_text(
            PROPERTIES.format(
                controller=free_port(),
                listeners=",".join(f"{n}://127.0.0.1:{port}" for n, port in self.ports.items()),
                protocols=PROTOCOLS,
                folder=folder,
                extra=extra,
            )
        )
        cluster = self._run("random-uuid").strip()
        self._run("format", "-t", cluster, "-c", str(self._properties), *format_options)

    @property
    def url(self) -> str:
        """The log setting that names this broker."""
        return f"kafka://127.0.0.1:{self.ports['PLAINTEXT']}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "broker.log").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *dies_with_us(signal.SIGKILL),
                    *(str(self._home / "bin/kafka-server-start.sh"), str(self._properties)),
                ],
                stdout=output,
                stderr=output,
                env=self._environment(),
                start_new_session=True,
            )
        began = time.monotonic()
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - began > START_S:
                raise RuntimeError((self.folder / "broker.log").read_text()[-4000:])
            time.sleep(0.1)  # another program's start can only be watched

    def stop(self) -> None:
        """Stop it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it from doing anything, its connections open, until `resume`."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, with_signal)
            self._process.wait(START_S)
        self._process = None

    def _answers(self) -> bool:
        """The broker listens only once it has caught up with its controller."""
        try:
            for port in self.ports.values():
                socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
        except OSError:
            return False
        return True

    def _run(self, *arguments: str) -> str:
        command = [str(self._home / "bin/kafka-storage.sh"), *arguments]
        done = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=START_S
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "KAFKA_HEAP_OPTS": "-Xms128m -Xmx384m",
            "LOG_DIR": str(self.folder / "logs"),
        }

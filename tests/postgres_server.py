"""A real PostgreSQL for tests: DATABASE_URL, or the installed programs in a temporary folder."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

from streams.store.store import store_url
from tests.kafka_broker import dies_with_us, free_port

START_S = 60.0


def postgres_programs() -> Path | None:
    """Return the folder of initdb and postgres, if PostgreSQL is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(on_path).parent if on_path else None


class PostgresServer:
    """One server with its data in a folder; PostgreSQL refuses to run as root, so it does not."""

    def __init__(self, folder: Path) -> None:
        """Make the cluster; `start` starts it.

        folder: where another user may look, so not below pytest's own temporary folders
        """
        programs = postgres_programs()
        if programs is None:
            raise RuntimeError("PostgreSQL is not installed")
        self._programs = programs
        self._user = _unprivileged_user() if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = folder
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", str(folder / "data"), "-U", "quickset", "-A", "trust", "-N")

    @property
    def url(self) -> str:
        """The URL of the database that is always there."""
        return f"postgresql://quickset@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self._process is None or self._process.poll() is not None:
            with (self.folder / "server.log").open("ab") as output:
                self._process = subprocess.Popen(
                    [
                        *dies_with_us(signal.SIGQUIT),
                        *(str(self._programs / "postgres"), "-D", str(self.folder / "data")),
                        *("-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.folder)),
                        # -F: no sync; the machine itself stays up over every kill of a test
                        *("-c", "max_connections=50", "-F"),
                    ],
                    user=self._user,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
        began = time.monotonic()
        asked = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(asked, stdout=subprocess.DEVNULL, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() - began > START_S:
                raise RuntimeError((self.folder / "server.log").read_text()[-4000:])
            time.sleep(0.05)  # another program's start can only be watched

    def stop(self) -> None:
        """Stop it at once, connections and all."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self._end(signal.SIGQUIT)  # "immediate": no checkpoint, recovery at the next start

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(with_signal)
            self._process.wait(START_S)
        self._process = None

    def _run(self, program: str, *arguments: str) -> None:
        output = self.folder / f"{program}.log"
        with output.open("wb") as file:
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                user=self._user,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                timeout=START_S,
            )
        if done.returncode:
            raise RuntimeError(output.read_text())


def fresh_database(url: str) -> str:
    """Make an empty database on a server and give its URL."""
    name = f"quickset_{uuid4().hex[:12]}"
    engine = create_engine(store_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return store_url(url).set(database=name).render_as_string(hide_password=False)


def drop_database(url: str, server: str) -> None:
    """Remove a database that `fresh_database` made, whoever is connected to it."""
    engine = create_engine(store_url(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {store_url(url).database} WITH (FORCE)"))
    engine.dispose()


def empty_database(url: str) -> None:
    """Remove all rows of a store, and whoever is connected to it."""
    engine = create_engine(store_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
        connection.execute(text(ended))
        tables = ", ".join(table.name for table in SQLModel.metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
    engine.dispose()


def _unprivileged_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"

"""A real PostgreSQL for tests: DATABASE_URL, or the installed programs in a temporary folder."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text

from streams.store import store_url
from tests.kafka_broker import free_port

START_S = 60.0


def postgres_programs() -> Path | None:
    """Give the folder of initdb and postgres, if PostgreSQL is installed."""
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
        """Start it and wait until it answers."""
        self._run(
            "pg_ctl",
            *("-D", str(self.folder / "data"), "-l", str(self.folder / "server.log")),
            *("-w", "-t", str(int(START_S))),
            # -F: no sync; the machine itself stays up over every kill of a test.
            *("-o", f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c max_connections=50 -F"),
            "start",
        )

    def stop(self) -> None:
        """Stop it at once, connections and all."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "fast", "-w", "stop")

    def kill(self) -> None:
        """Kill it as a power cut would."""
        pid = int((self.folder / "data/postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)  # "immediate": no checkpoint, recovery at the next start
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        # Its output goes to a file: the server that pg_ctl starts would keep a pipe open.
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
        if done.returncode and program != "pg_ctl":
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


def _unprivileged_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"

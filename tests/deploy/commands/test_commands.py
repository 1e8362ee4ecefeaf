"""The commands as a person runs them: what they print, and how they fail."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

import deploy
from agent.stored.projection import FILE, TOPICS, Projection
from deploy.cli import app, main, told
from deploy.commands.files import output, picture_kind
from deploy.commands.replay import ended_by_sigterm
from deploy.commands.who import who
from deploy.errors import DeployError, OutputError
from deploy.operate.forget import forget
from deploy.operate.reset import append_reset
from deploy.operate.rollback import append_rollback
from learner.forget.store import apply
from streams.errors import SchemaError
from streams.keeping.forgotten import covers, read_all
from streams.line import verbs
from streams.line.offer import decided, offer
from streams.line.verbs import Audit
from streams.log import dead_letters
from streams.log.contract import Outgoing, outgoing
from streams.open import open_log
from streams.settings import StreamsSettings
from streams.spool.file import open_free
from streams.store.lease import Lease
from streams.store.store import open_store
from streams.store.tables import ForgottenRow, TrialRow, TurnRow
from tests.deploy.conftest import BASE, recipe, turn

FIRST = recipe(1, BASE).version
SECOND = recipe(2, FIRST).version


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run a command and give (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names every command, and the help of each begins with a sentence."""
    code, out, _ = run("--help", capsys=capsys)
    assert code == 0
    for command in ("up", "agent", "learner", "versions", "turns", "replay", "forget", "demo"):
        assert f" {command} " in out
        code, text, _ = run(command, "--help", capsys=capsys)
        assert code == 0
        assert "Usage:" in text


def test_settings_fault_is_one_sentence_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """A bad setting ends a command with its sentence on stderr, exit code 2 and no trace."""
    code, out, err = run("config", "--set", "agent.prot=1", capsys=capsys)
    assert (code, out) == (2, "")
    assert err.startswith("quickset: unknown setting agent.prot")
    assert "Traceback" not in err


def test_set_without_section_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """--set needs section.name=value, and says so."""
    code, _, err = run("config", "--set", "port=1", capsys=capsys)
    assert code == 2
    assert "section.name=value" in err


def test_config_tells_where_each_value_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    """`config --json` gives value and origin of every setting; passwords are hidden."""
    arguments = (
        "config",
        "--json",
        "--port",
        "9000",
        "--set",
        "streams.store=postgresql://u:pw@h/d",
    )
    code, out, _ = run(*arguments, capsys=capsys)
    values = json.loads(out)
    assert code == 0
    assert values["agent.port"] == {"value": 9000, "from": "--port"}
    assert values["agent.host"] == {"value": "127.0.0.1", "from": "default"}
    assert values["streams.store"]["value"] == "postgresql://u:***@h/d"


def test_config_prints_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A path or an address with brackets is no markup, and no fault."""
    bus = "kafka://[fe80::1]:9092"
    flags = ("--home", "/tmp/a[/b]c:bomb:", "--set", f"streams.log={bus}")
    code, out, err = run("config", *flags, capsys=capsys)
    assert (code, err) == (0, "")
    assert f'"{bus}"' in out
    assert '"/tmp/a[/b]c:bomb:"' in out


def test_who_gives_a_command_has_a_name_always() -> None:
    """A user id that the machine has no name for, as in a container, is told by its number."""
    assert who(lambda: "ann") == "ann"
    for cause in (KeyError("getpwuid(): uid not found: 12345"), OSError("No username set")):

        def nameless(cause: Exception = cause) -> str:
            raise cause

        assert who(nameless) == f"uid {os.getuid()}"


def test_nothing_else_asks_for_the_name() -> None:
    """Every command that goes into the audit takes the name that there is always."""
    files = Path(deploy.__file__).parent.rglob("*.py")
    asking = [file.name for file in files if "getpass" in file.read_text(encoding="utf-8")]
    assert asking == ["who.py"]


def test_config_prints_one_thing(capsys: pytest.CaptureFixture[str]) -> None:
    """Of two forms that exclude each other none is chosen in silence."""
    code, out, err = run("config", "--json", "--markdown", capsys=capsys)
    assert (code, out) == (2, "")
    assert "one of them" in err


@pytest.mark.parametrize(
    "command",
    [
        "forget --principal anonymous",
        "learn",
        "replay",
        "rollouts abort",
        "rollouts list",
        "rollouts show",
        "streams dead-letters list",
        "streams status",
        "versions list",
        "versions promote abc",
    ],
)
def test_where_no_service_has_run_nothing_is_made_nor_said_to_be_done(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command in another folder than the service's ends with what to do, and leaves no home."""
    home = tmp_path / "elsewhere"
    code, out, err = run(*command.split(), "--home", str(home), capsys=capsys)
    assert (code, out) == (2, "")
    assert f"in {home} yet" in err or f"no service has run in {home}" in err
    assert "--home" in err
    assert not home.exists()


def test_the_off_switch_and_a_rollback_refuse_to_work_on_a_log_that_is_not_there(
    tmp_path: Path,
) -> None:
    """Nobody is told that the base serves while a service in another folder goes on."""
    streams = StreamsSettings(home=tmp_path / "elsewhere")
    with pytest.raises(DeployError, match="no service has run in"):
        append_reset(streams, "main", BASE, who="me", reason="off", keep_learning=False)
    with pytest.raises(DeployError, match="no service has run in"):
        append_rollback(streams, "main", who="me", reason="back")
    assert not streams.home.exists()


def test_versions_are_listed_with_the_serving_one(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """`versions list` gives the newest first and marks the one that the log says serves."""
    code, out, _ = run("versions", "list", "--json", "--home", str(taught.home), capsys=capsys)
    rows = json.loads(out)
    assert code == 0
    assert [(row["version"], row["serving"]) for row in rows] == [(SECOND, True), (FIRST, False)]
    code, out, _ = run("versions", "list", "--home", str(taught.home), capsys=capsys)
    assert SECOND in out


def test_version_is_shown_by_how_its_name_begins(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """`versions show` takes a unique beginning of a name, and says when there is none."""
    home = ("--home", str(taught.home))
    code, out, _ = run("versions", "show", SECOND[:6], *home, "--json", capsys=capsys)
    assert code == 0
    assert json.loads(out)["recipe"]["parent"] == FIRST
    code, out, _ = run("versions", "show", "2", *home, "--json", capsys=capsys)
    assert json.loads(out)["version"] == SECOND
    for word, name in (("stable", SECOND), ("previous", FIRST)):
        code, out, _ = run("versions", "show", word, *home, "--json", capsys=capsys)
        assert (code, json.loads(out)["version"]) == (0, name)
    for text, words in (
        ("zz", "no version begins with 'zz'"),
        ("", "no version begins with ''"),
        ("9", "none of the line main is of that number"),
        ("0", "0 is the base"),
        ("base", "base is the base, which has no recipe"),
        (BASE[:6], f"{BASE[:6]} is the base"),
        ("candidate", "the line main has no candidate version now"),
    ):
        code, _, err = run("versions", "show", text, *home, capsys=capsys)
        assert (code, words in err) == (2, True), err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("keys new ann --client --role admin", "leave out --role"),
        ("mcp --url here", "--url here: give an address"),
        ("mcp --console-url ftp://x", "--console-url ftp://x: give an address"),
        ("demo --minutes 0 --picture /nowhere/at/all.png", "there is no folder to write"),
        ("demo --minutes 0 --figures /nowhere/at/all.json", "there is no folder to write"),
        ("demo --minutes 0 --figures /", "/ is a folder"),
        ("demo --minutes 0 --picture x.pgn", "x.pgn names no kind of picture"),
        ("demo --minutes 0 --picture x", "x names no kind of picture"),
        ("safety map --picture x.pgn", "x.pgn names no kind of picture"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_begins(
    command: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and exit code 2."""
    code, out, err = run(*command.split(), capsys=capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_question_is_no_part_of_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is asked on stderr, so that what reads stdout finds the JSON and nothing else."""
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, err = run("reset", "--json", "--home", str(tmp_path), capsys=capsys)
    assert (code, out) == (1, "")
    assert "out of service?" in err


def test_a_file_is_written_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leading ~ is the home, which no shell puts in after an equals sign."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert output(Path("~/d.json")) == tmp_path / "d.json"
    assert output(picture_kind(Path("~/d.PNG"))) == tmp_path / "d.PNG"
    with pytest.raises(OutputError, match="there is no folder"):
        output(Path("~/none/d.json"))


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_a_port_that_there_is_none_of_is_refused(
    port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It failed unexpectedly, once the server was made."""
    code, out, err = run("mcp", "--http", "--mcp-port", port, capsys=capsys)
    assert (code, out) == (2, "")
    assert "--mcp-port" in err
    assert "Traceback" not in err


def test_a_limit_beyond_all_rows_is_refused(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """It failed unexpectedly: no database counts so far."""
    code, _, err = run("turns", "-n", "9" * 23, "--home", str(taught.home), capsys=capsys)
    assert code == 2
    assert "1000000" in err


def test_a_number_means_the_same_version_to_every_command(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """`versions promote 1` took 1 for how a name begins, and `versions show 1` for a number."""
    code, _, err = run("versions", "promote", "1", "--home", str(taught.home), capsys=capsys)
    assert code == 2
    assert err.startswith(f"quickset: {FIRST} "), err


def test_turns_show_what_was_judged(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """`turns` gives the newest turn first, with its judgement, its hint, and texts as they are."""
    code, out, _ = run("turns", "--json", "--home", str(taught.home), capsys=capsys)
    rows = json.loads(out)
    assert code == 0
    assert rows[0]["asked"] == "[bold]second[/bold]"
    assert rows[0]["judgements"][0]["hint"] == "be brief"
    assert rows[1]["judgements"] == []


def test_a_trial_is_shown_and_steered_from_a_shell(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is on trial, why it isn't promoted, every change, and each verb; without any agent."""
    home = ("--home", str(taught.home))
    log = open_log(taught)
    now = decided(log, "main")
    assert now is not None
    offer(log, verbs.start(now, "c" * 16, Audit.new("learner", "better", 1), share=0.05))
    store = open_store(taught)
    seen: dict[str, Any] = {"estimate": 0.1, "low": -0.3, "high": 0.5, "stable": 9, "candidate": 4}
    body = {"why": "no data yet", "judged": seen, "touched": 3}
    body["guardrails"] = [seen | {"name": "errors", "limit": 0.05, "broken": False}]
    with store.transaction() as session:
        session.add(TrialRow(line="main", seq=3, candidate="c" * 16, body=body, updated_ms=1))
    _, out, _ = run("rollouts", "show", *home, capsys=capsys)
    assert "c" * 16 + ": running, step 1, 5%" in out
    assert "no data yet" in out
    _, out, _ = run("rollouts", "show", "--json", *home, capsys=capsys)
    shown = json.loads(out)
    assert (shown["seq"], shown["state"], shown["share"]) == (3, "running", 0.05)
    assert set(shown["valid"]) == {"pause", "skip-step", "promote-full", "abort"}
    code, out, _ = run("rollouts", "pause", "--reason", "odd", "--json", *home, capsys=capsys)
    assert (code, json.loads(out)["verb"], json.loads(out)["seq"]) == (0, "pause", 4)
    code, _, err = run("rollouts", "pause", *home, capsys=capsys)
    assert code == 2
    assert "valid now: " in err
    code, _, err = run("rollouts", "resume", "--seq", "3", *home, capsys=capsys)
    assert code == 2
    assert "look again" in err
    code, out, _ = run("rollouts", "abort", *home, capsys=capsys)
    assert out == f"change 5 of main: {'c' * 16} is aborted\n"
    _, out, _ = run("rollouts", "list", "--json", *home, capsys=capsys)
    made = [(row["seq"], row["verb"]) for row in json.loads(out)]
    assert made == [(5, "abort"), (4, "pause"), (3, "start"), (2, "promote"), (1, "promote")]
    _, out, _ = run("rollouts", "list", "-n", "1", *home, capsys=capsys)
    assert "Aborted" in out
    store.close()
    log.close()


def test_a_line_that_has_never_changed_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its base serves and nothing is on trial: no fault, in words and as JSON; no verb works."""
    streams = StreamsSettings(home=tmp_path)
    open_log(streams).close()
    open_store(streams).close()
    home = ("--home", str(tmp_path))
    code, out, _ = run("rollouts", "show", *home, capsys=capsys)
    assert code == 0
    assert "the base: the line main has never changed" in out
    code, out, _ = run("rollouts", "show", "--json", *home, capsys=capsys)
    shown = json.loads(out)
    assert code == 0
    assert (shown["seq"], shown["version"], shown["candidate"]) == (0, None, None)
    assert (shown["learning"], shown["valid"]) == (True, [])
    code, out, _ = run("rollouts", "list", "--json", *home, capsys=capsys)
    assert (code, json.loads(out)) == (0, [])
    code, _, err = run("rollouts", "abort", *home, capsys=capsys)
    assert code == 2
    assert "has never changed" in err


def test_rollback_without_agent_is_written_to_the_log(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no agent running, `versions rollback` makes the previous version serve in the log."""
    home = ("--home", str(taught.home))
    code, out, _ = run("versions", "rollback", "--console-port", "1", *home, capsys=capsys)
    assert code == 0
    assert f"{FIRST} serves the line main now" in out
    _, out, _ = run("versions", "list", "--json", *home, capsys=capsys)
    assert [row["serving"] for row in json.loads(out)] == [False, True]


@pytest.mark.parametrize("command", [("turns",), ("versions", "list")])
def test_empty_home_is_told(
    tmp_path: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A home without a store is a sentence that says what to do, and is not created."""
    home = tmp_path / "nowhere"
    code, _, err = run(*command, "--home", str(home), capsys=capsys)
    assert code == 2
    assert "quickset up" in err
    assert not home.exists()


def test_failures_become_sentences() -> None:
    """Foreseen failures exit with 2, others with 1 and the way to their trace."""
    assert told(DeployError("a port")) == ("quickset: a port", 2)
    assert told(SchemaError("newer")) == ("quickset: newer", 2)
    assert told(PermissionError(13, "Permission denied", "/x")) == (
        "quickset: /x: Permission denied",
        2,
    )
    sentence, code = told(RuntimeError("odd"))
    assert code == 1
    assert "RuntimeError: odd" in sentence
    assert "--trace" in sentence


def test_help_needs_no_heavy_library() -> None:
    """The command line answers without importing torch."""
    code = "import sys, deploy.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_interruption_while_modules_load_leaves_no_trace() -> None:
    """Ctrl-C before the commands are there ends the program, and says nothing."""
    code = (
        "import os, signal, sys, deploy.__main__ as started\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'deploy.cli': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "started.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


def test_app_is_named() -> None:
    """The program calls itself quickset in its help."""
    assert app.info.name == "quickset"


def test_streams_status_tells_lag_and_dead_letters(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """`streams status` counts what stands in each topic, what waits, and the open dead letters."""
    home = ("--home", str(taught.home))
    code, out, _ = run("streams", "status", "--json", *home, capsys=capsys)
    body = json.loads(out)
    assert code == 0
    assert {row["topic"]: row["end"] for row in body["lags"]}["rollouts"] == 2
    assert (body["outbox"], body["dead_letters"]) == (0, 0)
    code, out, _ = run("streams", "status", *home, capsys=capsys)
    assert "dead letters: 0 open" in out


def test_dead_letter_is_shown_and_sent_again(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dead letter is listed with its cause, sent again once, and then closed."""
    home = ("--home", str(taught.home))
    log = open_log(taught)
    poison = Outgoing(topic="turns", key="k", id="poison", value=b"no record")
    log.append([dead_letters.of_outgoing(poison, "unreadable", max_bytes=2**20, now_ms=1)])
    _, out, _ = run("streams", "dead-letters", "list", "--json", *home, capsys=capsys)
    (letter,) = json.loads(out)
    assert (letter["cause"], letter["closed"]) == ("unreadable", None)
    _, out, _ = run("streams", "dead-letters", "show", letter["id"][:4], *home, capsys=capsys)
    assert "no record" in out
    code, out, _ = run("streams", "dead-letters", "redrive", letter["id"], *home, capsys=capsys)
    assert code == 0
    assert sum(log.end_offsets("turns").values()) == 1
    code, _, err = run("streams", "dead-letters", "drop", letter["id"], *home, capsys=capsys)
    assert code == 2
    assert "closed" in err
    log.close()


def test_streams_init_can_be_repeated(
    streams: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """`streams init` makes log and store, and a second time finds them ready."""
    for _ in range(2):
        code, out, _ = run("streams", "init", "--home", str(streams.home), capsys=capsys)
        assert code == 0
        assert "ready" in out


def test_a_dry_run_of_forgetting_changes_nothing(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """`forget --dry-run` lists what there is, and leaves store and log as they were."""
    home = ("--home", str(taught.home), "--json")
    before = run("turns", *home, capsys=capsys)[1]
    code, out, _ = run("forget", "--principal", "anonymous", "--dry-run", *home, capsys=capsys)
    report = json.loads(out)
    assert code == 0
    assert (report["turns"], report["judgements"], report["taken"]) == (2, 1, False)
    assert run("turns", *home, capsys=capsys)[1] == before
    log = open_log(taught)
    assert sum(log.end_offsets("forgotten").values()) == 0
    log.close()


def test_forgetting_removes_what_a_killed_run_left(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run without somebody has everybody else's words; a dry run only looks."""
    killed = taught.home / "without" / "1-killed"
    killed.mkdir(parents=True)
    (killed / "log.db").write_text("words")
    asked = ("forget", "--principal", "anonymous", "--home", str(taught.home))
    assert run(*asked, "--dry-run", capsys=capsys)[0] == 0
    assert killed.exists()
    assert run(*asked, capsys=capsys)[0] == 0
    assert not killed.exists()


def test_forgetting_goes_on_past_what_a_killed_run_left(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be removed is told, with its path, when all else is forgotten."""
    kept = kept_replies(taught)
    (taught.home / "without").write_text("no folder")
    asked = ("forget", "--principal", "anonymous", "--home", str(taught.home))
    code, out, _ = run(*asked, capsys=capsys)
    assert code == 0
    assert f"{taught.home / 'without'} cannot be emptied now" in out
    assert b"my secret" not in kept.read_bytes()
    assert "Not a directory" in json.loads(run(*asked, "--json", capsys=capsys)[1])["left"]
    (taught.home / "without").unlink()
    assert json.loads(run(*asked, "--json", capsys=capsys)[1])["left"] is None


def test_a_replay_goes_on_past_what_a_killed_run_left(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, and comes as far as the model."""
    (taught.home / "without").write_text("no folder")
    model = str(taught.home / "no-model")
    code, out, err = run(
        "replay", "--without", "anonymous", "--home", str(taught.home), "--model", model,
        capsys=capsys,
    )  # fmt: skip
    assert (code, out) == (2, "")
    assert err.index("without cannot be emptied now") < err.index("no-model")


def test_sigterm_ends_a_replay_in_order() -> None:
    """What it made for itself goes with it; afterwards the signal means what it meant before."""
    ended: list[str] = []

    def work() -> None:
        with ended_by_sigterm():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                ended.append("in order")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        work()
    assert end.value.code == 128 + signal.SIGTERM
    assert ended == ["in order"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_forgetting_is_done_once_and_told_again(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first run empties turns, with an audit row; a second one finds that it was done."""
    home = ("--home", str(taught.home))
    who = ("--principal", "anonymous", "--reason", "by mail")
    code, out, _ = run("forget", *who, *home, capsys=capsys)
    assert code == 0
    assert "2 turns and 1 judgements were forgotten" in out
    _, out, _ = run("turns", "--json", *home, capsys=capsys)
    rows = json.loads(out)
    assert {(row["state"], row["asked"], row["answered"]) for row in rows} == {
        ("forgotten", "", "")
    }
    code, out, _ = run("forget", *who, *home, capsys=capsys)
    assert code == 0
    assert "0 turns and 0 judgements were forgotten" in out
    assert "forgotten before" in out
    store = open_store(taught)
    with store.reading() as session:
        (audit,) = session.exec(select(ForgottenRow)).all()
    store.close()
    assert (audit.principal, audit.reason, audit.num_turns) == ("anonymous", "by mail", 2)
    log = open_log(taught)
    assert sum(log.end_offsets("forgotten").values()) == 1
    log.close()


@pytest.mark.parametrize(
    ("principal", "sentence"),
    [
        ("0123456789abcdef", "nothing is known of the principal 0123456789abcdef"),
        ("0123", "'0123' is no principal"),
        ("x" * 16, "is no principal"),
        ("", "is no principal"),
    ],
)
def test_whom_nobody_knows_cannot_be_forgotten(
    taught: StreamsSettings, principal: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown or malformed principal is one sentence, and nothing is written."""
    home = ("--home", str(taught.home))
    code, _, err = run("forget", "--principal", principal, *home, capsys=capsys)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err


def test_a_learner_that_runs_does_the_forgetting(taught: StreamsSettings) -> None:
    """While it holds the lease the command writes the record and waits; then it says who did it."""
    store, log = open_store(taught), open_log(taught)
    learner = Lease(store, "learner/main", holder="the learner")
    assert learner.acquire()
    waited: list[float] = []

    def read_the_record(wait_s: float) -> None:
        waited.append(wait_s)
        if len(waited) == 3:
            with store.transaction() as session:
                learner.check(session)
                for record in read_all(log):
                    apply(session, record, "main")

    asked = {"line": "main", "who": "ann", "reason": "", "wait": read_the_record}
    report = forget(store, log, taught, "anonymous", **asked)  # type: ignore[arg-type]
    assert report.taken
    assert len(waited) == 3
    store.close()
    log.close()


def test_a_learner_that_does_not_listen_is_told_of(taught: StreamsSettings) -> None:
    """After its patience the command says that the record is written and not taken yet."""
    store, log = open_store(taught), open_log(taught)
    assert Lease(store, "learner/main", holder="busy").acquire()
    asked = {"line": "main", "who": "ann", "reason": "", "wait": lambda _: None, "patience_s": 1.0}
    report = forget(store, log, taught, "anonymous", **asked)  # type: ignore[arg-type]
    assert not report.taken
    assert [record.principal for record in read_all(log)] == ["anonymous"]
    store.close()
    log.close()


def test_every_line_is_forgotten_whatever_line_is_set(taught: StreamsSettings) -> None:
    """Where another line's learner runs, it is waited for; where none does, the line is emptied."""
    store, log = open_store(taught), open_log(taught)
    with store.transaction() as session:
        row = session.exec(select(TurnRow).where(TurnRow.id == "turn-1")).one()
        session.add(TurnRow(**row.model_dump() | {"id": "elsewhere", "line": "other"}))
    learner = Lease(store, "learner/other", holder="the other line's learner")
    assert learner.acquire()

    def states() -> set[tuple[str, str]]:
        with store.reading() as session:
            return set(session.exec(select(TurnRow.line, TurnRow.state)))

    asked = {"line": "main", "who": "ann", "reason": "", "wait": lambda _: None, "patience_s": 1.0}
    report = forget(store, log, taught, "anonymous", **asked)  # type: ignore[arg-type]
    assert not report.taken
    assert states() == {("main", "forgotten"), ("other", "judged")}
    learner.release()
    report = forget(store, log, taught, "anonymous", **asked)  # type: ignore[arg-type]
    assert report.taken
    assert states() == {("main", "forgotten"), ("other", "forgotten")}
    store.close()
    log.close()


@pytest.mark.parametrize("where", ["kafka", "spool"])
def test_a_second_forgetting_takes_what_was_said_since_and_nobody_has_counted(
    taught: StreamsSettings, where: str
) -> None:
    """Kafka is not searched, nor a spool that a process left: a new record covers what they hold.

    After the first time all that the store has are tombstones.
    """
    store, log = open_store(taught), open_log(taught)
    settings = taught
    if where == "kafka":
        settings = taught.model_copy(update={"log": "kafka://nowhere:1"})
    asked: dict[str, Any] = {"line": "main", "who": "ann", "reason": "", "wait": lambda _: None}
    forget(store, log, settings, "anonymous", clock=lambda: 1.0, **asked)
    since = turn(3, "my secret").model_copy(update={"created_ms": 2000})
    if where == "kafka":
        log.append([outgoing("turns", "k", since)])
    else:
        left = open_free(taught.home / "spool" / "0", max_bytes=2**20, drop_oldest=False)
        assert left is not None
        assert left.append([outgoing("turns", "k", since)]) == [True]
        left.close()
    report = forget(store, log, settings, "anonymous", clock=lambda: 3.0, **asked)
    moments = {record.principal: record.created_ms for record in read_all(log)}
    assert covers(moments, "anonymous", since.created_ms)
    assert report.taken
    assert report.spools == (where == "spool")
    forget(store, log, taught, "anonymous", clock=lambda: 4.0, **asked)
    assert len(read_all(log)) == (3 if where == "kafka" else 2)
    store.close()
    log.close()


def kept_replies(settings: StreamsSettings) -> Path:
    """A file of the replies that may be asked for again, which a stopped agent has left."""
    said = turn(3, "my secret").model_copy(update={"response": {"model": "q"}})
    log = open_log(settings)
    log.append([outgoing("turns", "k", said)])
    path = settings.home / FILE
    kept = Projection(path, keep_days=30)
    reader = log.subscribe(TOPICS, group=None, positions=lambda _: {})
    kept.take(reader.poll(wait_s=0))
    assert kept.find(said.id)[1] == said
    kept.close()
    reader.close()
    log.close()
    return path


@pytest.mark.parametrize("state", ["whole", "damaged"])
def test_a_stopped_agent_keeps_nothing_of_whom_is_forgotten(
    taught: StreamsSettings, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it left in its home is cleaned, too; what is damaged is made anew, without them."""
    path = kept_replies(taught)
    assert b"my secret" in path.read_bytes()
    if state == "damaged":
        path.write_bytes(b"torn" + path.read_bytes()[4:])
    flags = ("--home", str(taught.home), "--principal", "anonymous", "--json")
    for _ in range(2):
        code, out, _err = run("forget", *flags, capsys=capsys)
        assert (code, json.loads(out)["still"]) == (0, None)
        for file in taught.home.rglob("*"):
            assert not file.is_file() or b"my secret" not in file.read_bytes(), file


def test_replies_that_cannot_be_reached_are_told_of(
    taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """All else is forgotten all the same."""
    path = taught.home / FILE
    path.mkdir()
    code, out, _ = run(
        "forget", "--home", str(taught.home), "--principal", "anonymous", capsys=capsys
    )
    assert code == 0
    assert f"{path} cannot be used now" in out
    store = open_store(taught)
    with store.reading() as session:
        assert set(session.exec(select(TurnRow.state))) == {"forgotten"}
    store.close()

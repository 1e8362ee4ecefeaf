"""Settings: strength of the sources, memory of origins, and errors that name what is wrong."""

from pathlib import Path

import pytest

from agent.settings import OperatorKey
from deploy.errors import SettingsError
from deploy.settings.load import InForce, load
from deploy.settings.reference import shown

HASH = "ab" * 32
EXAMPLES = sorted((Path(__file__).parents[3] / "deploy" / "examples").glob("*.toml"))


def read(
    tmp_path: Path,
    toml: str = "",
    environ: dict[str, str] | None = None,
    flags: dict[str, str] | None = None,
) -> InForce:
    """Load a file of this text with these variables and flags."""
    file = tmp_path / "quickset.toml"
    file.write_text(toml)
    named = {name: (text, f"--set {name}") for name, text in (flags or {}).items()}
    return load(config=file, environ=environ or {}, flags=named)


def fault(
    tmp_path: Path, toml: str = "", environ: dict[str, str] | None = None, **flags: str
) -> str:
    """Return the message of the error that loading raises."""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, toml, environ, {n.replace("__", "."): text for n, text in flags.items()})
    return str(caught.value)


def test_without_any_source_everything_is_a_default() -> None:
    """An installation without a file, variables and flags has every default, and says so."""
    in_force = load(config=None, environ={}, flags={})
    assert {origin for _, _, origin in in_force.rows()} == {"default"}
    assert in_force.settings.agent.port == 8321
    assert in_force.arguments == ()


def test_flags_beat_environment_beats_file(tmp_path: Path) -> None:
    """The strongest source that gives a field wins, and its name is remembered."""
    toml = "[agent]\nport = 1001\nthreads = 1\n[learner]\npairs = 1"
    environ = {"QUICKSET_AGENT__PORT": "1002", "QUICKSET_AGENT__THREADS": "2"}
    in_force = read(tmp_path, toml, environ, {"agent.port": "1003"})
    assert in_force.settings.agent.port == 1003
    assert in_force.settings.agent.threads == 2
    assert in_force.settings.learner.pairs == 1
    assert in_force.origin("agent.port") == "--set agent.port"
    assert in_force.origin("agent.threads") == "QUICKSET_AGENT__THREADS"
    assert in_force.origin("learner.pairs") == str(tmp_path / "quickset.toml")
    assert in_force.origin("learner.top_k") == "default"


def test_lists_and_tables_are_json_in_variables_and_flags(tmp_path: Path) -> None:
    """A variable gives a list as JSON, and one entry of a table by its own name."""
    environ = {"QUICKSET_LEARNER__MODULES": '["up_proj"]', "QUICKSET_AGENT__KEYS__ANN": HASH}
    settings = read(tmp_path, "", environ, {"agent.operator_keys": f'{{"bob": "{HASH}"}}'}).settings
    assert settings.learner.modules == ("up_proj",)
    assert settings.agent.keys == {"ann": HASH}
    assert settings.agent.operator_keys == {"bob": OperatorKey(hash=HASH)}


@pytest.mark.parametrize("turned", [False, True])
def test_an_entry_of_a_table_is_added_to_it_in_whatever_order_they_come(
    tmp_path: Path, turned: bool
) -> None:
    """A key by its own variable beside a table of them, and parts of one entry: none is lost."""
    given = {
        "QUICKSET_AGENT__KEYS__BOB": HASH,
        "QUICKSET_AGENT__KEYS": f'{{"ann": "{HASH}"}}',
        "QUICKSET_AGENT__OPERATOR_KEYS__EVE__ROLE": "admin",
        "QUICKSET_AGENT__OPERATOR_KEYS__EVE__HASH": HASH,
        "QUICKSET_AGENT__OPERATOR_KEYS": f'{{"dan": "{HASH}"}}',
    }
    environ = dict(reversed(given.items())) if turned else given
    agent = read(tmp_path, "", environ).settings.agent
    assert set(agent.keys) == {"ann", "bob"}
    assert agent.operator_keys == {
        "dan": OperatorKey(hash=HASH),
        "eve": OperatorKey(hash=HASH, role="admin"),
    }


def test_names_that_are_not_ours_keep_their_capitals(tmp_path: Path) -> None:
    """What a tool server is started with and sent; entries in capitals mean small letters."""
    of_git, of_wiki = "QUICKSET_AGENT__TOOLS__GIT__", "QUICKSET_AGENT__TOOLS__Wiki__"
    environ = {
        f"{of_git}COMMAND": "git-mcp",
        f"{of_git}ALLOW": '["log"]',
        f"{of_git}ENV": '{"Mode": "x"}',
        f"{of_git}ENV__GITHUB_TOKEN": "y",
        f"{of_git}ENV__MY__Name": "z",
        f"{of_wiki}URL": "https://wiki.example.org/mcp",
        f"{of_wiki}ALLOW": '["search"]',
        f"{of_wiki}HEADERS__Authorization": "Bearer k",
        "QUICKSET_AGENT__ALIASES__GPT-4.1": "quickset",
        "QUICKSET_AGENT__ALIASES__Claude": "quickset",
    }
    agent = read(tmp_path, "", environ).settings.agent
    assert agent.tools["git"].env == {"Mode": "x", "GITHUB_TOKEN": "y", "MY__Name": "z"}
    assert agent.tools["Wiki"].headers == {"Authorization": "Bearer k"}
    assert set(agent.aliases) == {"gpt-4.1", "Claude"}


def test_an_entry_is_added_to_the_files_table_and_a_table_takes_its_place(tmp_path: Path) -> None:
    """So a secret of a server that the file names may come from the environment; both are told."""
    toml = (
        f'[agent.keys]\nann = "{HASH}"\n'
        '[agent.tools.git]\ncommand = "git-mcp"\nallow = ["log"]\nenv = {MODE = "x"}\n'
    )
    environ = {
        "QUICKSET_AGENT__KEYS": f'{{"bob": "{HASH}"}}',
        "QUICKSET_AGENT__TOOLS__GIT__ENV__GITHUB_TOKEN": "y",
    }
    in_force = read(tmp_path, toml, environ)
    assert set(in_force.settings.agent.keys) == {"bob"}
    assert in_force.settings.agent.tools["git"].env == {"MODE": "x", "GITHUB_TOKEN": "y"}
    origin = f"{tmp_path}/quickset.toml, QUICKSET_AGENT__TOOLS__GIT__ENV__GITHUB_TOKEN"
    assert in_force.origin("agent.tools") == origin


def test_a_guardrail_is_off_by_a_word_as_toml_has_no_null(tmp_path: Path) -> None:
    """In a file and by a flag alike."""
    written = '[rollout]\nmax_liked_nats = "null"'
    in_force = read(tmp_path, written, flags={"rollout.max_latency_ms": "null"})
    rollout = in_force.settings.rollout
    assert (rollout.max_liked_nats, rollout.max_latency_ms) == (None, None)


def test_database_url_is_the_store(tmp_path: Path) -> None:
    """DATABASE_URL sets streams.store, and is named as its origin."""
    in_force = read(tmp_path, "", {"DATABASE_URL": "postgresql://u:p@h/d"})
    assert in_force.settings.streams.store == "postgresql://u:p@h/d"
    assert in_force.origin("streams.store") == "DATABASE_URL"


@pytest.mark.parametrize(
    "url", ["postgres://x", "mysql://u@h/d", "sqlite://", "postgresql+pg8000://h/d"]
)
def test_a_store_that_cannot_be_opened_is_refused(tmp_path: Path, url: str) -> None:
    """By `quickset config`, too, and not only when the store is opened."""
    assert "streams.store" in fault(tmp_path, "", {"DATABASE_URL": url})


@pytest.mark.parametrize("toml", ['[model]\ndevice = "gpu"', '[streams]\nstore = "mysql://u@h/d"'])
def test_a_fault_is_told_in_our_own_words(tmp_path: Path, toml: str) -> None:
    """Without the phrase that the validating library puts before them."""
    assert "alue error" not in fault(tmp_path, toml)


def test_arguments_give_a_child_the_same_settings(tmp_path: Path) -> None:
    """The flags kept for child processes name the file and repeat every --set."""
    in_force = read(tmp_path, "", {}, {"agent.port": "9000"})
    file = str(tmp_path / "quickset.toml")
    assert in_force.arguments == ("--config", file, "--set", "agent.port=9000")


def test_unknown_setting_is_named_with_the_close_one(tmp_path: Path) -> None:
    """A misspelt name in the file is an error that names it, its source and the likely name."""
    message = fault(tmp_path, "[agent]\nprot = 1")
    assert "unknown setting agent.prot" in message
    assert "quickset.toml" in message
    assert "did you mean agent.port?" in message


def test_unknown_variable_is_named(tmp_path: Path) -> None:
    """A QUICKSET_ variable that names no setting is an error, never ignored."""
    assert "QUICKSET_AGNET__PORT" in fault(tmp_path, "", {"QUICKSET_AGNET__PORT": "1"})
    assert "QUICKSET_PORT" in fault(tmp_path, "", {"QUICKSET_PORT": "1"})


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    """Several bad values give one line each, with the value and where it came from."""
    message = fault(tmp_path, '[agent]\nport = "x"', {"QUICKSET_LEARNER__STRATEGY": "sgd"})
    lines = message.splitlines()
    assert len(lines) == 2
    assert any("agent.port" in line and "'x'" in line for line in lines)
    assert any(
        "QUICKSET_LEARNER__STRATEGY" in line and "'es' or 'randopt'" in line for line in lines
    )


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[agent", "not valid TOML"),
        ("port = 1", "outside a section"),
        ("[agnet]", "unknown setting agnet"),
    ],
)
def test_broken_file_is_told(tmp_path: Path, toml: str, words: str) -> None:
    """A file that is no TOML, or names no section, is refused with the reason."""
    assert words in fault(tmp_path, toml)


def test_missing_file_is_told(tmp_path: Path) -> None:
    """A --config that is not there is an error, unlike a missing ./quickset.toml."""
    with pytest.raises(SettingsError, match=r"cannot read .*none\.toml"):
        load(config=tmp_path / "none.toml", environ={}, flags={})


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_usual_file_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What is called quickset.toml and is no file, or a link to nothing, is not passed over."""
    usual = tmp_path / "quickset.toml"
    if kind == "folder":
        usual.mkdir()
    else:
        usual.symlink_to(tmp_path / "moved.toml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"cannot read quickset\.toml"):
        load(config=None, environ={}, flags={})


@pytest.mark.parametrize(
    ("toml", "names"),
    [
        ("[agent]\nport = 8322", ["agent.port", "agent.console_port"]),
        ('[agent]\nconsole_host = "0.0.0.0"', ["agent.console_host", "agent.operator_keys"]),
        ('[agent]\nkeys = {ann = "secret"}', ["agent.keys.ann", "SHA-256"]),
        ('[agent]\noperator_keys = {ann = "secret"}', ["agent.operator_keys.ann", "SHA-256"]),
        ("[agent]\nrequests_per_minute = 9", ["agent.requests_per_minute", "agent.keys"]),
        (
            "[agent]\nkv_tokens = 1024\ncontext_tokens = 2048",
            ["agent.kv_tokens", "agent.context_tokens"],
        ),
        ("[agent]\ncontext_tokens = 9", ["agent.context_tokens", "at least 64"]),
        ('[learner]\nstrategy = "randopt"\npairs = 1', ["learner.top_k", "learner.pairs"]),
        (
            '[learner]\nverifiers = [{name = "capital", answer = "Rome"}]',
            ["learner.verifiers.capital", "learner.judges", "lacks verifier"],
        ),
        (
            '[learner]\njudges = ["verifier"]\nverifiers = [{name = "units", program = ["/x"]}]',
            ["learner.verifiers.units", "learner.judges", "lacks program"],
        ),
        (
            '[learner]\nprobes = ["finite", "odds"]\nquick_probes = ["odds", "sense"]',
            ["learner.quick_probes names 'sense'", "learner.probes"],
        ),
        (
            '[learner]\nprobes = ["finite"]\noptional_probes = ["leak"]',
            ["learner.optional_probes names 'leak'", "learner.probes"],
        ),
        ('[streams]\nlog = "redis://x"', ["streams.log"]),
        ('[streams]\ntls_ca = "/ca.pem"', ["streams.tls_ca", "streams.security_protocol"]),
        ('[streams]\nsasl_username = "u"', ["streams.sasl_username", "security_protocol"]),
        ('[streams]\nsecurity_protocol = "SASL_SSL"', ["streams.sasl_mechanism"]),
        ("[streams]\nspool_bytes = 65536", ["streams.spool_bytes", "streams.max_record_bytes"]),
    ],
)
def test_contradiction_names_both_settings(tmp_path: Path, toml: str, names: list[str]) -> None:
    """Two settings that cannot both be meant are an error that names them."""
    message = fault(tmp_path, toml)
    assert all(name in message for name in names)


@pytest.mark.parametrize(
    ("setting", "known"),
    [
        ("judges", "explicit, lexical"),
        ("probes", "finite, odds, refusal"),
        ("quick_probes", "finite, odds, refusal"),
        ("optional_probes", "finite, odds, refusal"),
    ],
)
def test_an_implementation_that_does_not_exist_is_refused(
    tmp_path: Path, setting: str, known: str
) -> None:
    """A name that chooses nothing is answered with the names that choose something."""
    message = fault(tmp_path, f'[learner]\n{setting} = ["nonsense"]')
    assert f"learner.{setting} names 'nonsense': known are {known}" in message


@pytest.mark.parametrize(
    ("section", "setting", "known"),
    [
        ("learner", "noise", ["rank1", "full", "normal"]),
        ("model", "backend", ["auto", "reference", "cpu", "triton"]),
        ("model", "device", ["cpu", "cuda", "cuda:N"]),
    ],
)
def test_one_of_a_few_names_is_refused_with_them(
    tmp_path: Path, section: str, setting: str, known: list[str]
) -> None:
    """A name that is none of those that can be chosen is answered with those."""
    message = fault(tmp_path, f'[{section}]\n{setting} = "nonsense"')
    assert f"{section}.{setting}" in message
    assert all(name in message for name in known)


def test_two_stores_contradict(tmp_path: Path) -> None:
    """DATABASE_URL beside another streams.store in the environment is an error naming both."""
    environ = {"DATABASE_URL": "postgresql://a/b", "QUICKSET_STREAMS__STORE": "sqlite:///c"}
    message = fault(tmp_path, "", environ)
    assert "DATABASE_URL" in message
    assert "QUICKSET_STREAMS__STORE" in message


@pytest.mark.parametrize(
    ("toml", "names"),
    [
        ('policy = "two-person"', ["rollout.policy", "agent.operator_keys"]),
        ("steps = [0.5, 0.1]", ["rollout.steps must grow"]),
        ("steps = [0.1, 1.0]", ["rollout.steps are shares between 0 and 1"]),
        ('webhook = "http://x"', ["rollout.webhook needs rollout.webhook_secret"]),
        ('webhook = "x"\nwebhook_secret = "y"', ["rollout.webhook must begin with http"]),
        ('webhook = "http://"\nwebhook_secret = "y"', ["rollout.webhook names no host"]),
        ('webhook = "http://u:p/w@h"\nwebhook_secret = "y"', ["rollout.webhook names no host"]),
    ],
)
def test_a_rollout_that_cannot_be_meant_is_refused(
    tmp_path: Path, toml: str, names: list[str]
) -> None:
    """Steps that shrink, a hook that nobody could believe, two persons without names."""
    message = fault(tmp_path, f"[rollout]\n{toml}")
    assert all(name in message for name in names)


def test_fewer_probes_need_no_more_words(tmp_path: Path) -> None:
    """What is quick or optional by default holds for those of them that are asked."""
    learner = read(tmp_path, '[learner]\nprobes = ["finite", "refusal"]').settings.learner
    assert learner.probes == ("finite", "refusal")


def test_public_console_is_allowed_with_keys(tmp_path: Path) -> None:
    """A console on a public address is fine once operators have keys."""
    toml = f'[agent]\nconsole_host = "0.0.0.0"\noperator_keys = {{ann = "{HASH}"}}'
    assert read(tmp_path, toml).settings.agent.console_host == "0.0.0.0"


@pytest.mark.parametrize(
    "url", ["http://x", "https://chat.example.org:8443/a/b", "http://[::1]:8321", "https://x/"]
)
def test_an_address_for_others_is_taken(tmp_path: Path, url: str) -> None:
    """Without a slash at its end, as paths are put behind it."""
    found = read(tmp_path, f'[agent]\npublic_url = "{url}"').settings.agent.public_url
    assert found == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["", "chat.example.org", "ftp://x", "http://", "https://u@x", "https://x?y", "https://x/#y",
     "https://x:port", "https://x y", "javascript://x"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    """It would stand in every link to feedback."""
    assert "agent.public_url" in fault(tmp_path, f'[agent]\npublic_url = "{url}"')


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_good(example: Path) -> None:
    """Every settings file that we ship is read without a fault."""
    in_force = load(config=example, environ={}, flags={})
    assert any(origin == str(example) for _, _, origin in in_force.rows())


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("agent.drain_s", "1e308"),
        ("agent.drain_s", "nan"),
        ("agent.keep_alive_s", "31"),
        ("learner.kl_budget", "inf"),
        ("learner.turns_per_generation", "9" * 23),
        ("learner.uses", "9" * 15),
        ("streams.retention_days", "999999999999"),
        ("streams.replication", "40000"),
        ("streams.partitions", str(2**31)),
        ("streams.max_record_bytes", str(2**31)),
        ("agent.threads", "9" * 15),
    ],
)
def test_a_number_that_nothing_can_use_is_refused(name: str, number: str) -> None:
    """It passed, and ended a process where that waited so long, or wrote it down."""
    with pytest.raises(SettingsError, match=name.replace(".", r"\.")):
        load(config=None, environ={}, flags={name: (number, "--set")})


def test_null_is_what_config_prints_it_for(tmp_path: Path) -> None:
    """`--set model.path=null` is the bundled model, and no folder of that name."""
    file = tmp_path / "quickset.toml"
    file.write_text('[model]\npath = "/models/one"\n')
    flags = {"model.path": ("null", "--set model.path")}
    found = load(config=file, environ={"QUICKSET_STREAMS__STORE": "null"}, flags=flags)
    assert (found.settings.model.path, found.settings.streams.store) == (None, None)
    again = {"model.path": (found.arguments[-1].partition("=")[2], "--set")}
    assert load(config=file, environ={}, flags=again).settings.model.path is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://bot:s3cret@host/path", "https://bot:***@host/path"),
        ("https://bot:s3cr@t/s3cret@host/path", "https://bot:***@host/path"),
        ("https://host/path?room=1&token=s3cret", "https://host/path?room=1&token=***"),
    ],
)
def test_a_password_in_a_url_is_shown_nowhere(tmp_path: Path, url: str, told: str) -> None:
    """Neither in a setting of its own, nor in one that is made of several."""
    toml = (
        f'[rollout]\nwebhook = "{url}"\nwebhook_secret = "/secret"\n'
        f'[agent.tools.wiki]\nurl = "{url}"\nallow = ["search"]\n'
        '[streams]\nstore = "postgresql:///d?host=h&user=u&Password=s3cret"\n'
    )
    rows = {name: str(shown(value)) for name, value, _ in read(tmp_path, toml).rows()}
    for name in ("rollout.webhook", "agent.tools"):
        assert told in rows[name]
    assert rows["streams.store"] == "postgresql:///d?host=h&user=u&Password=***"
    assert "s3cr" not in str(rows)


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("AGENT__KEYS", '{"ann": s3cret}', "not valid JSON: Expecting value, line 1, column 9"),
        ("AGENT__KEYS", '["s3cret"]', "valid dictionary"),
        ("AGENT__TOOLS__GIT__ENV", '{"KEY": "s3cret"', "not valid JSON"),
        ("AGENT__TOOLS__GIT__ENV", '{"KEY": ["s3cret"]}', "env.KEY"),
        ("AGENT__TOOLS__GIT", '{"env": {"KEY": s3cret}}', "agent.tools.git"),
        (
            "AGENT__TOOLS",
            '{"a": {"url": "x://b:s3cret@c", "allow": ["d"]}}',
            "must begin with http",
        ),
        ("OTEL__ENDPOINT", "htp://bot:s3cret@host", "got 'htp://bot:***@host'"),
        ("OTEL__ENDPOINT", "http:bot:s3cret@host", "got 'http:***@host'"),
        ("OTEL__ENDPOINT", "bot:s3cret@host", "got 'bot:***@host'"),
        ("STREAMS__LOG", "kafka://bot:s3cret@host:9092", "kafka://bot:***@host:9092"),
    ],
)
def test_a_fault_shows_no_secret(tmp_path: Path, variable: str, text: str, words: str) -> None:
    """It says what is wrong and where, and never quotes what may be a key or a password."""
    message = fault(tmp_path, "", {f"QUICKSET_{variable}": text})
    assert words in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("otel.endpoint", "http://"),
        ("otel.endpoint", "http://host:port"),
        ("learner.judge_url", "host:8000/v1"),
        ("learner.judge_url", "http://:8000/v1"),
        ("learner.judge_url", "http://one two/v1"),
    ],
)
def test_an_address_without_a_host_is_refused(tmp_path: Path, setting: str, url: str) -> None:
    """At the start, and not at each try to ask it."""
    section, _, field = setting.partition(".")
    assert setting in fault(tmp_path, f'[{section}]\n{field} = "{url}"')


@pytest.mark.parametrize("text", ["", " "])
@pytest.mark.parametrize(
    "name",
    [
        *("agent.host", "agent.console_host", "agent.line", "agent.response_secret"),
        *("streams.home", "streams.store", "streams.snapshots", "streams.sasl_password_file"),
        *("model.path", "model.cache", "learner.line", "learner.judge_key_file", "otel.endpoint"),
        *("rollout.webhook", "rollout.webhook_secret"),
    ],
)
def test_an_empty_value_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """By the environment, a flag and the file alike: all addresses, or this folder, was meant."""
    section, _, field = name.partition(".")
    words = f"{name} (from"
    variable = f"QUICKSET_{section}__{field}".upper()
    assert words in fault(tmp_path, "", {variable: text})
    assert words in fault(tmp_path, f'[{section}]\n{field} = "{text}"')
    with pytest.raises(SettingsError, match="it is empty"):
        read(tmp_path, "", {}, {name: text})


def test_what_may_be_empty_is_taken(tmp_path: Path) -> None:
    """What is empty by default; and a DATABASE_URL that a platform leaves so is none."""
    environ = {"QUICKSET_STREAMS__TOPIC_PREFIX": "", "DATABASE_URL": ""}
    toml = '[streams]\ntopic_prefix = "ours."'
    streams = read(tmp_path, toml, environ).settings.streams
    assert (streams.topic_prefix, streams.store) == ("", None)


def test_an_entry_without_a_name_is_refused(tmp_path: Path) -> None:
    """Nobody could say whose key it is."""
    assert "one entry has no name" in fault(tmp_path, "", {"QUICKSET_AGENT__KEYS__": HASH})


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("learner.modules", '["up_proj", "down_proj", "up_proj"]'),
        ("learner.judges", '["lexical", "lexical"]'),
        ("learner.probes", '["finite", "odds", "odds"]'),
        ("learner.quick_probes", '["finite", "finite"]'),
        ("learner.optional_probes", '["leak", "leak"]'),
    ],
)
def test_a_name_that_stands_twice_is_refused(tmp_path: Path, setting: str, names: str) -> None:
    """It ended the learner once the mask was measured, or asked the same twice."""
    with pytest.raises(SettingsError, match=rf"^{setting} \(from .*is named twice"):
        read(tmp_path, "", {}, {setting: names})


def test_an_origin_is_taken_as_browsers_say_it(tmp_path: Path) -> None:
    """Compared letter by letter, the others never matched."""
    given = (
        '["https://Chat.Example.org/", "HTTP://localhost:03000", "https://a.org:443", '
        '"http://[::1]:80", "http://a.org:443", "chrome-extension://abcdef"]'
    )
    assert read(tmp_path, "", {}, {"agent.origins": given}).settings.agent.origins == (
        *("https://chat.example.org", "http://localhost:3000", "https://a.org"),
        *("http://[::1]", "http://a.org:443", "chrome-extension://abcdef"),
    )


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "https://*.example.org", "chat.example.org", "localhost:3000", "null", ""),
        *("https://a.org/chat", "https://a.org?", "https://u@a.org", "https://a.org:port"),
        *("https://a.org,https://b.org", "https://", "https://bücher.example"),
    ],
)
def test_what_is_no_origin_is_refused(tmp_path: Path, origin: str) -> None:
    """No browser says it, and no page of it could ever call."""
    assert "is no origin: write scheme://host" in fault(
        tmp_path, f'[agent]\norigins = ["{origin}"]'
    )


@pytest.mark.parametrize("window", ["00:00-00:00", "22:00-22:00"])
def test_a_window_that_holds_at_no_minute_is_refused(tmp_path: Path, window: str) -> None:
    """All day is meant by leaving windows out; such a one meant never."""
    assert "ends where it begins" in fault(tmp_path, f'[learner]\nwindows = ["{window}"]')

"""A response id says whose response it is, to any replica that shares the secret."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotFoundError, StartError
from agent.turn.response_ids import PREFIXES, ResponseIds, load_secret

SESSION = "0123456789abcdef" * 2
IDS = ResponseIds(b"secret")


def test_an_id_gives_its_session_to_its_principal() -> None:
    """Another replica, or this one after a restart, recognises the id."""
    response_id = IDS.new(principal="ann", session=SESSION)
    assert ResponseIds(b"secret").session(response_id, principal="ann") == SESSION


@given(st.integers(1, 255), st.integers(0, 300), st.sampled_from(PREFIXES))
def test_the_choices_of_a_response_are_counted(choices: int, choice: int, prefix: str) -> None:
    """The id of a choice that there was is as good as the response's; no other is one."""
    response_id = IDS.new(principal="ann", session=SESSION, choices=choices, prefix=prefix)
    name = f"{response_id}-{choice}"
    if 0 < choice < choices:
        assert IDS.session(name, principal="ann") == SESSION
    else:
        with pytest.raises(NotFoundError):
            IDS.session(name, principal="ann")


@pytest.mark.parametrize("choice", ["-0", "-00", "-01", "-1 ", "--1", "-", "-1-1"])
def test_a_choice_has_one_spelling(choice: str) -> None:
    """Its id is the one that the turn was recorded under."""
    response_id = IDS.new(principal="ann", session=SESSION, choices=8)
    with pytest.raises(NotFoundError):
        IDS.session(response_id + choice, principal="ann")


def test_ids_of_before_stay_good() -> None:
    """An id that was given before choices were counted is in somebody's hands."""
    old = "chatcmpl-00112233445566770123456789abcdef0123456789abcdeff34319d55e5ee49f"
    assert IDS.session(old, principal="ann") == SESSION
    assert IDS.session(f"{old}-3", principal="ann") == SESSION


def test_ids_differ() -> None:
    """Two responses of one session have two names."""
    assert len({IDS.new(principal="ann", session=SESSION) for _ in range(100)}) == 100


def test_nobody_else_may_use_it() -> None:
    """Another principal, another service and an altered id are told the same: not found."""
    response_id = IDS.new(principal="ann", session=SESSION)
    other = ("f" if response_id[9] != "f" else "0") + response_id[10:]
    for ids, name, principal in [
        (IDS, response_id, "bob"),
        (ResponseIds(b"other"), response_id, "ann"),
        (IDS, f"chatcmpl-{other}", "ann"),
        (IDS, response_id + "-3-4", "ann"),
    ]:
        with pytest.raises(NotFoundError, match="no response"):
            ids.session(name, principal=principal)


@given(st.text())
def test_any_other_text_is_not_found(name: str) -> None:
    """No text at all is anything but not found."""
    with pytest.raises(NotFoundError):
        IDS.session(name, principal="ann")


def test_the_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """The first start makes the home's secret, later ones read it, nobody else may."""
    home = tmp_path / "home"
    assert load_secret(None, home) == load_secret(None, home)
    file = home / "response.secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in home.iterdir()] == ["response.secret"]


def test_agents_that_start_at_once_have_one_secret(tmp_path: Path) -> None:
    """Also those whose processes have equal ids, as containers that share a home do."""
    for number in range(20):
        home, together = tmp_path / f"{number}", Barrier(4)

        def start(home: Path = home, together: Barrier = together) -> bytes:
            together.wait()
            return load_secret(None, home)

        with ThreadPoolExecutor(4) as pool:
            secrets = {starting.result() for starting in [pool.submit(start) for _ in range(4)]}
        assert len(secrets) == 1
        assert [each.name for each in home.iterdir()] == ["response.secret"]


def test_a_file_that_is_named_is_read_and_never_made(tmp_path: Path) -> None:
    """Replicas that share a secret each made their own, in silence, where its name had a typo."""
    named = tmp_path / "shared.secret"
    with pytest.raises(StartError, match=r"agent\.response_secret: there is no file .*openssl"):
        load_secret(named, tmp_path / "home")
    assert not named.exists()
    named.write_text("ab" * 32 + "\n")
    assert load_secret(named, tmp_path / "home") == b"\xab" * 32


def test_the_file_may_lie_in_somebodys_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of other settings may: ~ is read as there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "shared.secret").write_text("ab" * 32)
    assert load_secret(Path("~/shared.secret"), tmp_path / "home") == b"\xab" * 32


def test_a_file_that_cannot_be_read_is_told_with_its_setting(tmp_path: Path) -> None:
    """A folder of that name, or the home of nobody."""
    for named in (tmp_path, Path("~nobody-of-this-name/shared.secret")):
        with pytest.raises(StartError, match=r"^agent\.response_secret: .* cannot be used: "):
            load_secret(named, tmp_path / "home")


@pytest.mark.parametrize("text", [b"hello", b"", b"\xff\xfe\x00", b"ab" * 31])
def test_a_file_that_is_no_secret_is_refused(tmp_path: Path, text: bytes) -> None:
    """A damaged secret is not replaced silently: the ids given out so far depend on it."""
    file = tmp_path / "response.secret"
    file.write_bytes(text)
    with pytest.raises(StartError, match="remove it"):
        load_secret(None, tmp_path)
    with pytest.raises(StartError, match="openssl"):
        load_secret(file, tmp_path)

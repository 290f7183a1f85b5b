"""A running API server gets another authentication configuration, and may refuse it."""

import base64
import hashlib
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.host.files import BEFORE, FileSet, restore
from ansible.module_utils.k8sbootstrap.host.units import UnitError
from ansible.module_utils.k8sbootstrap.kube import authentication
from ansible.module_utils.k8sbootstrap.kube.authentication import EMPTY, give, hold
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError

OWN, FIRST = "https://127.0.0.1:6443", "https://10.0.0.11:6443"
EXPRESSION = """\
I1130 10:31:21.1 7 a.go:1] "something about authentication config"
E1130 10:31:22.1 7 authentication.go:797] "failed to validate authentication config" err=<
\tjwt[0].userValidationRules[0].expression: Invalid value: "a(": compilation failed: ERROR: <input>:1:3
\t | a(
\t | ..^
 >
I1130 10:31:23.1 7 b.go:1] "something else"
"""


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Server:
    """An API server that reads the file again when it is asked, and what its journal says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken = b""
        self.seen = b""
        self.failures = 0
        self.journal = ""
        self.others: dict[str, str] = {}
        self.active = True
        self.reads = True

    def kubectl(self, *arguments: str, kubeconfig: str) -> str:
        assert kubeconfig == "/etc/kubernetes/super-admin.conf"
        server = next(word.removeprefix("--server=") for word in arguments if word.startswith("--server="))
        if server != OWN:
            if server not in self.others:
                raise KubectlError("connection refused")
            return self.metrics(self.others[server])
        now = self.path.read_bytes() if self.path.exists() else b""
        if self.reads and now != self.seen:
            self.seen = now
            self.failures += b"bad" in now
            self.taken = self.taken if b"bad" in now else now
        return self.metrics(sha(self.taken) if self.taken else "")

    def metrics(self, digest: str) -> str:
        prefix = "apiserver_authentication_config_controller"
        own = f'apiserver_id_hash="sha256:{"0" * 64}"'
        lines = [f'{prefix}_automatic_reloads_total{{{own},status="success"}} 7']
        if digest:
            lines.append(f'{prefix}_last_config_info{{{own},hash="sha256:{digest}"}} 1')
        if self.failures:
            lines.append(f'{prefix}_automatic_reloads_total{{{own},status="failure"}} {self.failures}')
        return "# HELP of others\n" + "\n".join(lines) + "\n"


@pytest.fixture
def server(host: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The API server of this host."""
    server = Server(host / "authentication.yaml")

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[0] == "journalctl"
        return subprocess.CompletedProcess(command, 0, server.journal, "")

    monkeypatch.setattr(authentication, "kubectl", server.kubectl)
    monkeypatch.setattr(authentication, "_is_active", lambda _: server.active)
    monkeypatch.setattr(authentication.time, "sleep", lambda _: None)
    monkeypatch.setattr(authentication.subprocess, "run", run)
    return server


@pytest.fixture
def up(server: Server, owner: dict[str, str], new_record: Callable[..., Any]) -> Callable[..., bool]:
    """Both calls of the module; whether the second one had to change the file."""

    def apply(content: bytes, *after: str, second: bool = True) -> bool:
        wanted: Any = {
            "dest": str(server.path),
            "content": base64.b64encode(content).decode(),
            "mode": "0600",
            "secret": False,
            "restarts": [],
            "reread": {"unit": "kube-apiserver.service", "server": OWN, "after": list(after)},
            **owner,
        }
        held = dict(wanted)
        request: Any = {"name": "app", "users": [], "directories": [], "binaries": [], "files": [held]}
        waits = hold([held])
        FileSet(request, new_record(), check_mode=False).apply({})
        if waits and second:
            give(dict(wanted), FileSet(request, new_record(), check_mode=False))
        return waits

    return apply


def test_a_program_that_does_not_run_gets_the_file_at_once(server: Server, up: Callable[..., bool]) -> None:
    server.active = False
    assert not up(b"one")
    assert server.path.read_bytes() == b"one"


def test_a_program_that_ran_without_the_file_starts_with_no_issuer(
    server: Server, up: Callable[..., bool]
) -> None:
    """So a mistake in the file can't stop it from starting."""
    assert up(b"bad", second=False)
    assert server.path.read_bytes() == EMPTY
    assert up(b"one")
    assert server.taken == server.path.read_bytes() == b"one"


def test_a_change_is_seen_to_be_taken(server: Server, up: Callable[..., bool]) -> None:
    up(b"one")
    assert up(b"two", second=False)
    assert server.path.read_bytes() == b"one"
    assert up(b"two")
    assert server.taken == b"two"
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    assert not up(b"two")
    assert not Path(f"{server.path}{BEFORE}").exists()


def test_a_file_that_is_refused_does_not_stay(server: Server, up: Callable[..., bool]) -> None:
    up(b"one")
    server.journal = EXPRESSION
    with pytest.raises(UnitError) as caught:
        up(b"bad")
    said = str(caught.value)
    assert 'authentication.yaml: "failed to validate authentication config" err=<\n\tjwt[0].user' in said
    assert "\t | ..^\n >\nIt goes on with its old configuration, and its old file is back." in said
    assert "something" not in said
    assert server.path.read_bytes() == server.taken == b"one"
    assert not Path(f"{server.path}{BEFORE}").exists()
    server.journal = (
        'E1130 10:31:22.1 7 authentication.go:797] "failed to load authentication config" err="x"\nI1\n'
    )
    with pytest.raises(UnitError, match=r'yaml: "failed to load authentication config" err="x"\nIt goes on'):
        up(b"bad")
    server.journal = ""
    with pytest.raises(UnitError, match="its journal says why"):
        up(b"bad")


def test_one_that_is_not_read_is_an_error(
    server: Server, up: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    up(b"one")
    server.reads = False
    monkeypatch.setattr(authentication, "within", lambda _: iter([True, False]).__next__)
    with pytest.raises(UnitError, match="it has not read it after 150 s"):
        up(b"two")
    assert server.path.read_bytes() == b"one"


@pytest.mark.parametrize("early", [True, False])
def test_issuers_of_a_file_before_are_not_this_ones(
    server: Server, up: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, *, early: bool
) -> None:
    """The API server waits a minute for issuers, and meanwhile reads no other file."""
    up(b"one")
    server.journal = 'E1130 1 7 a.go:1] "failed to update authentication config" err="x"\n'
    monkeypatch.setattr(authentication, "within", lambda seconds: lambda: seconds > 100 or early)

    def first_fails(*arguments: str, kubeconfig: str) -> str:
        if server.path.read_bytes() == b"two" and not server.failures:
            server.failures = 1
            return server.metrics(sha(b"one"))
        return server.kubectl(*arguments, kubeconfig=kubeconfig)

    monkeypatch.setattr(authentication, "kubectl", first_fails)
    if early:
        assert up(b"two")
    else:
        with pytest.raises(UnitError, match="failed to update"):
            up(b"two")
    assert server.path.read_bytes() == (b"two" if early else b"one")


def test_masters_that_come_first_must_have_taken_it(server: Server, up: Callable[..., bool]) -> None:
    up(b"one")
    server.others = {FIRST: sha(b"one")}
    with pytest.raises(UnitError, match=f"not changed here, because the API server {FIRST} has not taken it"):
        up(b"two", FIRST)
    assert server.path.read_bytes() == b"one"
    server.others = {FIRST: sha(b"two")}
    assert up(b"two", FIRST, "https://down:6443")
    assert server.taken == b"two"


def test_a_killed_run_leaves_what_the_program_starts_with(server: Server, up: Callable[..., bool]) -> None:
    up(b"one")
    Path(f"{server.path}{BEFORE}").write_bytes(b"one")
    server.path.write_bytes(b"bad")
    assert up(b"bad", second=False)
    assert server.path.read_bytes() == b"one"
    assert not Path(f"{server.path}{BEFORE}").exists()


@pytest.mark.parametrize(("by_hand", "left"), [(b"by hand", b"by hand"), (b"bad, by hand", EMPTY)])
def test_what_somebody_wrote_there_stays_if_the_program_goes_by_it(
    server: Server, up: Callable[..., bool], by_hand: bytes, left: bytes
) -> None:
    """It may restart before it gets the new one."""
    up(b"one")
    server.path.write_bytes(by_hand)
    assert up(b"two", second=False)
    assert server.path.read_bytes() == left


def test_a_program_that_says_nothing_starts_with_no_issuer(
    server: Server, up: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    up(b"one")

    def silent(*_: str, **__: str) -> str:
        raise KubectlError("connection refused")

    monkeypatch.setattr(authentication, "kubectl", silent)
    assert up(b"two", second=False)
    assert server.path.read_bytes() == EMPTY


def test_the_old_content_goes_with_the_file(tmp_path: Path) -> None:
    for name in ("a", f"a{BEFORE}"):
        (tmp_path / name).touch()
    restore(str(tmp_path / "a"), None)
    assert list(tmp_path.iterdir()) == []

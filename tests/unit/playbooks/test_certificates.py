"""Certificates on hosts stay while they say what is wanted and last, whoever made them."""

import base64
import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.host import files as files_module
from ansible.module_utils.k8sbootstrap.host.certificates import (
    belong_together,
    end_of,
    ends_soon,
    has_expired,
)
from ansible.module_utils.k8sbootstrap.host.files import FileSet, certificate_ends, file_drift

from k8sbootstrap.pki import x509
from k8sbootstrap.pki.kubeconfig import render
from k8sbootstrap.pki.table import Subject

DAY = 86_400.0
NEVER = 4e9
Apply = Callable[..., FileSet]


@pytest.fixture(scope="module")
def authority() -> x509.Pair:
    key = x509.new_key()
    return x509.Pair(x509.make_authority("kubernetes", key), key)


@pytest.fixture
def issue(authority: x509.Pair) -> Callable[[float], x509.Pair]:
    """A certificate that lasts for some days."""
    return lambda days: x509.issue(Subject("a"), authority, dt.timedelta(days=days))


@pytest.fixture
def files(host: Path, owner: dict[str, str]) -> Callable[..., list[dict[str, Any]]]:
    """What is wanted: a certificate and its key."""

    def wanted(pair: x509.Pair, says: str = "it", *, renew: bool = False, until: float = NEVER) -> list[Any]:
        leaf = {"name": "a", "says": says, "authority_ends": until}
        return [
            {
                "dest": str(host / name),
                "content": base64.b64encode(content).decode(),
                "mode": "0600",
                "secret": False,
                "restarts": ["app.service"],
                "leaf": leaf,
                "renew": renew,
                **owner,
            }
            for name, content in (("a.crt", pair.certificate_pem), ("a.key", pair.key_pem))
        ]

    return wanted


@pytest.fixture
def apply(new_record: Callable[..., Any]) -> Apply:
    """One module call, with the digest that the whole role notes at its end."""

    def _apply(wanted: list[dict[str, Any]], *, check_mode: bool = False) -> FileSet:
        request = {"name": "app", "users": [], "directories": [], "binaries": [], "files": wanted}
        record = new_record(check_mode)
        fileset = FileSet(request, record, check_mode)
        fileset.apply({})
        record.component("app")["digest"] = "done"
        record.save()
        return fileset

    return _apply


def changes(done: FileSet) -> list[tuple[str, list[str]]]:
    return [(change["name"].rpartition("/")[2], list(change["causes"])) for change in done.changes]


def content(host: Path) -> tuple[bytes, bytes]:
    return (host / "a.crt").read_bytes(), (host / "a.key").read_bytes()


def pems(pair: x509.Pair) -> tuple[bytes, bytes]:
    return pair.certificate_pem, pair.key_pem


BOTH = [("a.crt", ["renewal"]), ("a.key", ["renewal"])]


def test_one_that_says_the_same_and_lasts_stays(host: Path, apply: Apply, files: Any, issue: Any) -> None:
    """Another machine made it; this one has another. Nothing is drift, and nothing restarts."""
    first = issue(300)
    apply(files(first))
    done = apply(files(issue(365)))
    assert (changes(done), done.inputs, done.diffs) == ([], {}, [])
    assert content(host) == pems(first)
    assert changes(apply(files(first))) == []


def test_one_that_was_asked_for_comes(host: Path, apply: Apply, files: Any, issue: Any) -> None:
    apply(files(issue(300)))
    new = issue(365)
    dry = apply(files(new, renew=True), check_mode=True)
    done = apply(files(new, renew=True))
    assert changes(dry) == changes(done) == BOTH
    assert list(done.inputs) == ["app.service"]
    assert content(host) == pems(new)
    assert changes(apply(files(new, renew=True))) == []


def test_one_that_ends_soon_is_replaced(host: Path, apply: Apply, files: Any, issue: Any) -> None:
    apply(files(issue(29)))
    new = issue(365)
    assert changes(apply(files(new))) == BOTH
    assert content(host) == pems(new)


def test_one_that_ends_with_its_ca_stays(host: Path, apply: Apply, files: Any, issue: Any) -> None:
    first = issue(29)
    end = first.certificate.not_valid_after_utc.timestamp()
    apply(files(first, until=end))
    assert changes(apply(files(issue(29), until=end))) == []
    assert content(host) == pems(first)


def test_one_that_says_something_else_is_replaced(host: Path, apply: Apply, files: Any, issue: Any) -> None:
    apply(files(issue(300)))
    new = issue(365)
    assert changes(apply(files(new, says="else"))) == [
        ("a.crt", ["configuration"]),
        ("a.key", ["configuration"]),
    ]
    assert content(host) == pems(new)


@pytest.mark.parametrize("name", ["a.crt", "a.key"])
def test_one_that_somebody_changed_is_replaced_with_its_key(
    host: Path, apply: Apply, files: Any, issue: Any, name: str
) -> None:
    apply(files(issue(300)))
    (host / name).write_text("x")
    new = issue(365)
    assert (name, ["configuration", "drift"]) in changes(apply(files(new)))
    assert content(host) == pems(new)


def test_a_mode_is_set_back_and_the_certificate_stays(
    host: Path, apply: Apply, files: Any, issue: Any
) -> None:
    first = issue(300)
    apply(files(first))
    (host / "a.key").chmod(0o644)
    done = apply(files(issue(365)))
    assert [change["text"] for change in done.changes] == [f"{host}/a.key mode or owner set"]
    assert (host / "a.key").stat().st_mode & 0o777 == 0o600
    assert content(host) == pems(first)


def test_a_run_killed_between_certificate_and_key_is_seen(
    host: Path,
    apply: Apply,
    files: Any,
    issue: Any,
    *,
    new_record: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apply(files(issue(300)))
    real, new = files_module.write_atomically, issue(365)

    def killed(path: str, *rest: Any) -> None:
        if path.endswith(".key"):
            raise KeyboardInterrupt
        real(path, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(files_module, "write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            apply(files(new, renew=True))
    assert content(host) == (new.certificate_pem, content(host)[1])
    assert content(host)[1] != new.key_pem
    assert new_record().component("app")["digest"] == ""
    other = issue(364)
    apply(files(other))
    assert content(host) == pems(other)


def test_hosts_of_an_older_version_learn_what_their_certificates_say(
    apply: Apply, files: Any, issue: Any, new_record: Callable[..., Any]
) -> None:
    first = issue(300)
    without = [{**file, "leaf": None} for file in files(first)]
    apply(without)
    assert certificate_ends(new_record().component("app")) == {}
    assert changes(apply(files(first))) == []
    end = first.certificate.not_valid_after_utc.timestamp()
    assert certificate_ends(new_record().component("app")) == {"a": end}
    assert changes(apply(files(issue(365)))) == []


@pytest.mark.parametrize(("days", "until", "number"), [(31, NEVER, 0), (29, NEVER, 1), (29, 0.0, 0)])
def test_the_probe_says_what_ends_soon(
    apply: Apply,
    files: Any,
    issue: Any,
    *,
    new_record: Callable[..., Any],
    days: int,
    until: float,
    number: int,
) -> None:
    apply(files(issue(days), until=until))
    found = file_drift(new_record().component("app"))
    names = [(each["name"].rpartition("/")[2], each["causes"]) for each in found]
    assert names == [("a.crt", ["renewal"])] * number


def test_when_certificates_end(tmp_path: Path, issue: Any) -> None:
    pair = issue(10)
    end = pair.certificate.not_valid_after_utc.timestamp()
    for name, text in (
        ("a.crt", pair.certificate_pem),
        ("a.pem", pair.certificate_pem + pair.key_pem),
        ("a.conf", render(cluster="demo", user="a", server="a:1", ca_pem=b"x", pair=pair)),
    ):
        path = tmp_path / name
        path.write_bytes(text)
        assert end_of(str(path)) == end
        assert ends_soon(str(path), NEVER, time.time())
        assert not ends_soon(str(path), NEVER, time.time() - 25 * DAY)
        assert not ends_soon(str(path), end, time.time())
        assert not has_expired(str(path), end - 1) or name == "a.conf"
    assert has_expired(str(tmp_path / "a.crt"), end + 1)


@pytest.mark.parametrize(
    "text", [b"", b"x", b"client-certificate-data: !", b"client-certificate-data: eA==\n"]
)
def test_what_is_no_certificate_has_no_end(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(text)
    assert end_of(str(path)) is None
    assert end_of(str(tmp_path / "none")) is None
    assert not ends_soon(str(path), NEVER, time.time())


def test_which_key_belongs_to_a_certificate(tmp_path: Path, issue: Any) -> None:
    for name, pair in (("a", issue(1)), ("b", issue(1))):
        (tmp_path / f"{name}.crt").write_bytes(pair.certificate_pem)
        (tmp_path / f"{name}.key").write_bytes(pair.key_pem)
    assert belong_together(str(tmp_path / "a.crt"), str(tmp_path / "a.key"))
    assert not belong_together(str(tmp_path / "a.crt"), str(tmp_path / "b.key"))
    assert not belong_together(str(tmp_path / "a.crt"), str(tmp_path / "none"))

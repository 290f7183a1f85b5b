"""Certificates of users: issued, noted without their keys, listed."""

import datetime as dt
from typing import Any

import pytest
from cryptography import x509 as lib
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k8sbootstrap.errors import StateError
from k8sbootstrap.pki import x509
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.pki.users import NewUser, issue_user, issued_users, problem_with
from k8sbootstrap.state import State

DAY = dt.timedelta(days=1)


@pytest.fixture
def issued(make_plan: Any, state: State) -> State:
    ensure_pki(make_plan(), state)
    return state


def new(name: str = "jane", *groups: str, days: int = 7) -> NewUser:
    return NewUser(name, groups, days * DAY)


def test_what_the_certificate_says(issued: State) -> None:
    pair = issue_user(issued, new("jane@example.com", "dev", "ops", "dev"))
    certificate = pair.certificate

    def names(oid: lib.ObjectIdentifier) -> list[str | bytes]:
        return [each.value for each in certificate.subject.get_attributes_for_oid(oid)]

    assert (names(NameOID.COMMON_NAME), names(NameOID.ORGANIZATION_NAME)) == (
        ["jane@example.com"],
        ["dev", "ops"],
    )
    usages = certificate.extensions.get_extension_for_class(lib.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(x509.load_certificate((issued.pki / "ca.crt").read_bytes()))
    left = certificate.not_valid_after_utc - x509.now()
    assert 7 * DAY - dt.timedelta(minutes=1) < left <= 7 * DAY


def test_they_are_listed_without_their_keys(issued: State) -> None:
    for user in (new("late", "g", days=9), new("soon", days=3)):
        issue_user(issued, user)
    assert [(user.name, user.groups, user.days_left) for user in issued_users(issued)] == [
        ("soon", (), 2),
        ("late", ("g",), 8),
    ]
    files = list(issued.users.iterdir())
    assert len(files) == 2
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert b"PRIVATE" not in file.read_bytes()


def test_what_has_expired_comes_last(issued: State, monkeypatch: pytest.MonkeyPatch) -> None:
    for user in (new("past", days=1), new("present", days=9)):
        issue_user(issued, user)
    later = x509.now() + 2 * DAY
    monkeypatch.setattr(x509, "now", lambda: later)
    assert [user.name for user in issued_users(issued)] == ["present", "past"]


def test_none_lasts_longer_than_the_ca(make_plan: Any, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x509, "AUTHORITY_LIFE", 3 * DAY)
    ensure_pki(make_plan(), state)
    end = x509.load_certificate((state.pki / "ca.crt").read_bytes()).not_valid_after_utc
    assert issue_user(state, new(days=7)).certificate.not_valid_after_utc == end


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "1 to 64 characters"),
        ("x" * 65, "1 to 64 characters"),
        (" jane", "no spaces at its ends"),
        ("ja\nne", "no control characters"),
        ("ja\u202ene", "no control characters"),
        ("system:admin", "Kubernetes' own"),
        ("system:masters", "kubeadm:cluster-admins"),
    ],
)
def test_bad_names(issued: State, name: str, words: str) -> None:
    assert words in problem_with(name)
    for user in (new(name), new("jane", name)):
        with pytest.raises(ValueError, match=r"must have|Kubernetes"):
            issue_user(issued, user)
    assert not issued.users.exists()


@pytest.mark.parametrize("name", ["jane", "../../etc/passwd", "Jane Doe", "é", "x" * 64, "a,O=b"])
def test_good_names_name_no_file(issued: State, name: str) -> None:
    assert problem_with(name) == ""
    issue_user(issued, new(name, name))
    (user,) = issued_users(issued)
    assert (user.name, user.groups) == (name, (name,))
    assert [file.name for file in issued.users.iterdir()] == [f"{user.serial}.crt"]


def test_without_a_ca_nothing_is_issued(state: State) -> None:
    with pytest.raises(StateError, match="no state of the cluster demo"):
        issue_user(state, new())
    assert issued_users(state) == ()


def test_a_damaged_note_is_named(issued: State) -> None:
    issued.users.mkdir()
    (issued.users / "1.crt").write_text("x")
    with pytest.raises(StateError, match=r"users/1\.crt is damaged"):
        issued_users(issued)

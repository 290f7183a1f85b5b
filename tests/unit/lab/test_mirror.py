"""The machine's own Debian mirror."""

from pathlib import Path

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import mirror


def _targets(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(mirror, "run", lambda *_, **__: "".join(f"{line}\n" for line in lines))


def test_other_vendors_are_not_taken_for_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    _targets(
        monkeypatch,
        "|nodistro|main|https://vendor.example/node/",
        "Vendor|bookworm|main|https://vendor.example/apt/",
        "Debian|bookworm-security|main|http://mirror.example/debian-security/",
        "Debian|bookworm|non-free|http://mirror.example/debian/",
        "Debian|bookworm|main|http://mirror.example/debian/",
    )
    assert mirror.mirror() == "http://mirror.example/debian"


def test_no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    _targets(monkeypatch, "Vendor|bookworm|main|https://vendor.example/apt/")
    with pytest.raises(LabError, match="no Debian mirror"):
        mirror.mirror()


def test_hosts_get_the_proxy_and_nothing_that_is_empty_or_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    _targets(
        monkeypatch,
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https "";',
        'Acquire::http::User-Agent "";',
        'Acquire::Check-Date "false";',
        'APT::Install-Recommends "false";',
    )
    assert mirror.passed_on().splitlines() == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::Check-Date "false";',
    ]


def test_packages_that_others_need_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _targets(
        monkeypatch,
        "Reading package lists...",
        "'http://mirror.example/debian/glibc/libc6_2.41-12_amd64.deb' libc6_2.41-12_amd64.deb 1 MD5",
        "'http://mirror.example/debian/curl/curl_8.14.1_amd64.deb' curl_8.14.1_amd64.deb 2 MD5",
    )
    assert mirror.LabApt(tmp_path).with_dependencies(["curl"], tmp_path) == ["libc6", "curl"]

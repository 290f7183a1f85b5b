"""The program that shows whether hosts reach each other, with real sockets."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from k8sbootstrap.hosts.scripts import connections as program

HERE = "127.0.0.1"


@pytest.fixture(autouse=True)
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(program, "CONTROL", str(tmp_path / "control"))
    yield tmp_path / "control"
    program.stop()


@pytest.fixture
def ports() -> list[tuple[str, int]]:
    """Two TCP ports and a UDP port that are free."""
    with ExitStack() as stack:
        found = []
        for protocol in ("tcp", "tcp", "udp"):
            kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
            sock = stack.enter_context(socket.socket(socket.AF_INET, kind))
            sock.bind((HERE, 0))
            found.append((protocol, sock.getsockname()[1]))
        return found


def listen(ports: list[tuple[str, int]], seconds: float = 30) -> list[list[object]]:
    wanted = {"ports": [list(each) for each in ports], "seconds": seconds, "name": "k8sb-test"}
    busy: list[list[object]] = program.listen(wanted)["busy"]
    return busy


def connect(ports: list[tuple[str, int]], seconds: float = 0.3) -> dict[str, str]:
    to = [[HERE, protocol, port] for protocol, port in ports]
    failed: dict[str, str] = program.connect({"to": to, "seconds": seconds})["failed"]
    return failed


def test_what_listens_is_reached_until_it_is_stopped(ports: list[tuple[str, int]], control: Path) -> None:
    assert connect(ports) == dict.fromkeys("012", "Connection refused")
    assert listen(ports) == []
    assert connect(ports) == {}
    program.stop()
    assert not control.exists()
    assert connect(ports) == dict.fromkeys("012", "Connection refused")


def test_a_second_one_takes_the_place_of_the_first(ports: list[tuple[str, int]]) -> None:
    """A preflight that was killed left the first."""
    assert listen(ports) == listen(ports) == []
    assert connect(ports) == {}


def test_it_ends_by_itself(ports: list[tuple[str, int]], control: Path) -> None:
    listen(ports, seconds=0.1)
    program.time.sleep(0.5)
    assert not control.exists()
    assert listen(ports) == []


def test_a_port_that_is_taken_is_named_and_left_alone(ports: list[tuple[str, int]]) -> None:
    with socket.socket() as other:
        other.bind((HERE, ports[0][1]))
        other.listen()
        assert listen(ports) == [list(ports[0])]
        assert connect(ports) == {}


def test_who_does_not_answer_is_named(ports: list[tuple[str, int]]) -> None:
    """A socket that reads nothing, as behind a filter that drops packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HERE, ports[2][1]))
        assert connect(ports[2:]) == {"0": "no answer in 0.3 s"}


def test_many_are_tried_in_parts(ports: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "AT_ONCE", 2)
    listen(ports[:1])
    assert connect(ports * 2) == dict.fromkeys("1245", "Connection refused")


def test_filters_that_drop_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = {
        "iptables-save": "*nat\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n*filter\n:INPUT DROP [3:180]\n"
        "-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 80 -j DROP\nCOMMIT\n",
        "nft": '{"nftables": [{"metainfo": {}}, {"chain": {"family": "inet", "table": "site", "name": "in", '
        '"hook": "input", "policy": "drop"}}, {"chain": {"family": "ip", "table": "filter", "name": "INPUT", '
        '"hook": "input", "policy": "drop"}}, {"chain": {"family": "inet", "table": "site", "name": "x"}}]}',
    }
    monkeypatch.setattr(program, "printed", lambda name, *_: printed[name])
    assert program.rules() == [
        "iptables -P INPUT DROP",
        "iptables -A INPUT -p tcp -m tcp --dport 80 -j DROP",
        "nft chain inet site in, policy drop",
    ]
    monkeypatch.setattr(program, "printed", lambda *_: "nonsense")
    assert program.rules() == []

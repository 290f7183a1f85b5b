"""Runs on a host: shows whether hosts reach each other at the ports that the cluster will need.

It is sent over SSH with a JSON document as its one argument:

``{"do": "listen", "ports": [[PROTOCOL, PORT]...], "seconds", "name"}``: listens at those of the ports that
are free, in a process of its own with that name, until it is told to stop or the seconds are over. It prints
``{"busy": [[PROTOCOL, PORT]...], "rules": [...]}``: the ports that a program of the host listens at already,
and where the host's own packet filter drops packets.

``{"do": "connect", "to": [[ADDRESS, PROTOCOL, PORT]...], "seconds"}``: tries all of them at once. It prints
``{"failed": {INDEX: REASON}}``.

``{"do": "stop"}``: ends the listening process, and waits until it has.

Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

CONTROL = "/run/k8sbootstrap-connections"
"""The socket that the listening process is stopped by."""
HELLO = b"k8sbootstrap\n"
AT_ONCE = 200
"""Sockets that are open at the same time."""
MOST_RULES = 50
TRIES = 3
"""Datagrams that are sent where no answer comes."""


def bound(protocol: str, port: int) -> socket.socket:
    """A socket that listens at a port of all addresses.

    Raises:
        OSError: It is not free.
    """
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(socket.AF_INET, kind)
    try:
        if protocol == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", port))
        if protocol == "tcp":
            sock.listen(64)
        sock.settimeout(0)
    except OSError:
        sock.close()
        raise
    return sock


def listen(request: dict[str, Any]) -> dict[str, Any]:
    """Start the process that listens."""
    stop()
    sockets, busy = [], []
    for protocol, port in request["ports"]:
        try:
            sockets.append(bound(protocol, port))
        except OSError:
            busy.append([protocol, port])
    Path(CONTROL).unlink(missing_ok=True)  # of a process that was killed
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    control.bind(CONTROL)
    if sockets and os.fork() == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        with suppress(OSError):
            Path("/proc/self/comm").write_text(request["name"], encoding="ascii")
        with suppress(Exception):
            serve(sockets, control, time.monotonic() + request["seconds"])
        Path(CONTROL).unlink(missing_ok=True)
        os._exit(0)
    return {"busy": busy, "rules": rules()}


def serve(sockets: list[socket.socket], control: socket.socket, until: float) -> None:
    """Answer whoever connects, until something comes in at the control socket or time is over."""
    with selectors.DefaultSelector() as selector:
        for sock in (*sockets, control):
            selector.register(sock, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if key.fileobj is control:
                    return
                with suppress(OSError):
                    answer(key.fileobj)  # type: ignore[arg-type]


def answer(sock: socket.socket) -> None:
    """Answer one client."""
    if sock.type == socket.SOCK_STREAM:
        sock.accept()[0].close()
    else:
        text, client = sock.recvfrom(len(HELLO))
        if text == HELLO:
            sock.sendto(HELLO, client)


def stop() -> None:
    """End the process that listens, if one is there."""
    until = time.monotonic() + 5
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        while time.monotonic() < until:
            try:
                sock.sendto(b"stop", CONTROL)
            except OSError:
                return  # nobody holds it any more
            time.sleep(0.02)


def connect(request: dict[str, Any]) -> dict[str, Any]:
    """Try to reach every target."""
    failed: dict[str, str] = {}
    targets = list(enumerate(request["to"]))
    for first in range(0, len(targets), AT_ONCE):
        some = targets[first : first + AT_ONCE]
        failed.update(streams([each for each in some if each[1][1] == "tcp"], request["seconds"]))
        failed.update(datagrams([each for each in some if each[1][1] == "udp"], request["seconds"]))
    return {"failed": failed}


def streams(targets: list[tuple[int, list[Any]]], seconds: float) -> dict[str, str]:
    """Why connections could not be opened, by index."""
    failed = {}
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for index, (address, _, port) in targets:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.settimeout(0)
            error = sock.connect_ex((address, port))
            if error in {0, errno.EINPROGRESS}:
                selector.register(sock, selectors.EVENT_WRITE, index)
            else:
                failed[str(index)] = os.strerror(error)
                sock.close()
        while selector.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                sock = key.fileobj  # type: ignore[assignment]
                error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    failed[str(key.data)] = os.strerror(error)
                selector.unregister(sock)
                sock.close()
        for key in list(selector.get_map().values()):
            failed[str(key.data)] = f"no answer in {seconds:g} s"
            key.fileobj.close()  # type: ignore[union-attr]
    return failed


def datagrams(targets: list[tuple[int, list[Any]]], seconds: float) -> dict[str, str]:
    """Why datagrams were not answered, by index."""
    failed: dict[str, str] = {}
    with selectors.DefaultSelector() as selector:
        for index, (address, _, port) in targets:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.settimeout(0)
            try:
                sock.connect((address, port))
            except OSError as exc:
                failed[str(index)] = exc.strerror or str(exc)
                sock.close()
            else:
                selector.register(sock, selectors.EVENT_READ, index)
        for _ in range(TRIES):
            for key in selector.get_map().values():
                with suppress(OSError):
                    key.fileobj.send(HELLO)  # type: ignore[union-attr]
            until = time.monotonic() + seconds / TRIES
            while selector.get_map() and (left := until - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    sock = key.fileobj  # type: ignore[assignment]
                    try:
                        sock.recv(len(HELLO))
                    except OSError as exc:
                        failed[str(key.data)] = exc.strerror or str(exc)
                    selector.unregister(sock)
                    sock.close()
        for key in list(selector.get_map().values()):
            failed[str(key.data)] = f"no answer in {seconds:g} s"
            key.fileobj.close()  # type: ignore[union-attr]
    return failed


def rules() -> list[str]:
    """Where this host's packet filter drops packets to ports, or what no rule accepts."""
    found = [f"iptables {line}" for line in input_rules(printed("iptables-save")) if stops_ports(line)]
    try:
        ruleset = json.loads(printed("nft", "-j", "list", "chains") or "{}").get("nftables", [])
        chains = [each["chain"] for each in ruleset if "chain" in each]
    except (ValueError, AttributeError):
        chains = []
    for chain in chains:
        if chain.get("hook") == "input" and chain.get("policy") == "drop":
            text = "{} {} {}".format(chain["family"], chain["table"], chain["name"])
            if text != "ip filter INPUT":  # iptables' own, named above
                found.append(f"nft chain {text}, policy drop")
    return found[:MOST_RULES]


def input_rules(saved: str) -> list[str]:
    """The policy and rules of iptables' chain INPUT, as ``iptables -S INPUT`` would print them.

    With iptables-legacy that command creates the table where the host has none. ``iptables-save`` never does.
    """
    found = []
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif table == "filter" and line.startswith(":INPUT "):
            found.append(f"-P INPUT {line.split()[1]}")
        elif table == "filter" and line.startswith("-A INPUT "):
            found.append(line.strip())
    return found


def stops_ports(rule: str) -> bool:
    """Whether a rule drops or rejects packets to some port, or to all."""
    if rule.startswith(("-P INPUT DROP", "-A INPUT -j DROP", "-A INPUT -j REJECT")):
        return True
    return "--dport" in rule and ("-j DROP" in rule or "-j REJECT" in rule)


def printed(*command: str) -> str:
    """A command's output; empty where it is not installed or fails."""
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=10, text=True).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""


def main() -> None:
    """Do what is asked."""
    request = json.loads(sys.argv[1])
    if request["do"] == "listen":
        said = listen(request)
    elif request["do"] == "connect":
        said = connect(request)
    else:
        stop()
        said = {}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()

"""Which pods of a node have tokens that an old key signed, as a host runs it."""

import base64
import hashlib
import json
import subprocess
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

from k8sbootstrap.host_code import program
from k8sbootstrap.hosts.ask import PYTHON

SCRIPT = Path(str(files("k8sbootstrap.hosts.scripts"))) / "rotation.py"


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def token(uid: str, pod: str = "one", key: str = "old", alg: str = "ES256", **claims: object) -> str:
    payload = {
        "exp": time.time() + 600,
        "kubernetes.io": {"namespace": "a", "pod": {"name": pod, "uid": uid}},
        **claims,
    }
    return f"{part({'alg': alg, 'kid': key})}.{part(payload)}.c2ln"


def line(text: str, pod: str = "one") -> str:
    signed, _, signature = text.rpartition(".")
    return f"a/{pod} {hashlib.sha256(signed.encode()).hexdigest()} {signature}"


def put(folder: Path, uid: str, name: str, text: str) -> None:
    volume = folder / "pods" / uid / "volumes/kubernetes.io~projected/access"
    volume.mkdir(parents=True, exist_ok=True)
    (volume / name).write_text(text)


def ask(wanted: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        ["sh", "-c", PYTHON],
        input=f"{json.dumps(wanted)}\n".encode() + program(SCRIPT),
        capture_output=True,
        timeout=30,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_tokens(tmp_path: Path) -> None:
    first, second = token("1"), token("3", "three", alg="RS256")
    put(tmp_path, "1", "token", first)
    put(tmp_path, "3", "vault", second)
    for uid, text in (
        ("2", token("2", key="new")),
        ("4", "not.a.token"),
        ("5", "-----BEGIN CERTIFICATE-----"),
        ("6", f"{part({'kid': 'other'})}.{part({'iss': 'of somebody else'})}.c2ln"),
        ("7", f"{part({'kid': 'old'})}.{part({'kubernetes.io': [1]})}.c2ln"),
        ("8", token("8", "x" * 70_000)),
        ("9", token("9", "y" * 2000)),
        ("10", token("1")),  # of another pod
        ("11", token("11", exp=time.time() - 60)),
        ("12", token("12", exp="soon")),
        ("13", token("13", alg="none")),
        ("14", token("14", "b c")),
    ):
        put(tmp_path, uid, "token", text)
    answer = ask({"do": "tokens", "key": "new", "folders": [str(tmp_path), str(tmp_path / "none")]})
    assert answer == {"found": {"old": [line(first), line(second, "three")]}, "problem": ""}


def test_more_tokens_than_a_pod_can_have(tmp_path: Path) -> None:
    put(tmp_path, "1", "token", token("1"))
    for number in range(1000):
        put(tmp_path, "2", f"token{number}", token("2", exp=time.time() + 600 + number))
    answer = ask({"do": "tokens", "key": "new", "folders": [str(tmp_path)]})
    assert answer["problem"] == "1001 files look like tokens, 1000 of them of the pod with the uid 2"

"""A distinct value in every secret that a user can give: afterwards it is in private files alone."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import threading
import time
import typing
from pathlib import Path

import pytest
from annotated_types import BaseMetadata
from labs import COMMAND, Lab, make_lab
from pydantic import BaseModel, StringConstraints

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.config.models.base import HTTP_URL
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.config.models.hosts import EnvSecret
from k8sbootstrap.lab.root_image import PASSWORD_USER

pytestmark = pytest.mark.e2e

NAMES = ("sudo-env", "sudo-file", "registry-env", "registry-file", "proxy-http", "proxy-https", "source")
CANARIES = {name: f"canary-{name}-{secrets.token_hex(8)}" for name in (*NAMES, "manifest")}
COVERED = {
    "ssh.sudo_password": "sudo-env, on one host",
    "hosts.ssh.sudo_password": "sudo-file",
    "runtime.registries.password": "registry-env, registry-file",
    "runtime.registries.mirrors": "a login in it is refused",
    "proxy.http": "proxy-http",
    "proxy.https": "proxy-https",
    "artifacts.sources.url": "source",
    "manifests.url": "manifest",
    "manifests.repository": "as manifests.url: fetched by the same code",
    "releases.files.url": "as manifests.url: fetched by the same code",
}
"""Keys of cluster.yaml that hold a secret, or a URL that may: what of this test is for them."""
HOLDERS = {
    "sudo-env": set(),
    "sudo-file": set(),
    "registry-env": {"/var/lib/kubelet/config.json"},
    "registry-file": {"/var/lib/kubelet/config.json"},
    "proxy-http": {"/etc/systemd/system/docker.service.d/proxy.env"},
    "proxy-https": {"/etc/systemd/system/docker.service.d/proxy.env"},
    "source": set(),
    "manifest": set(),
}
"""Files of hosts that may hold each one."""
KEPT = {"proxy.json": ("proxy-",), "registry-logins.json": ("registry-",)}
"""Files of the state directory that may hold some, by the beginnings of their names."""


def fields(annotation: object, path: str = "") -> typing.Iterator[str]:
    """Keys in a model that are secrets, or URLs, which may have a password in them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation is EnvSecret:
            yield path
        for name, field in annotation.model_fields.items():
            inner = f"{path}.{name}".lstrip(".")
            if any(_is_url(each) for each in field.metadata):
                yield inner
            yield from fields(field.annotation, inner)
    for part in typing.get_args(annotation):
        if _is_url(part):
            yield path
        elif not isinstance(part, BaseMetadata):
            yield from fields(part, path)


def _is_url(part: object) -> bool:
    return isinstance(part, StringConstraints) and part.pattern == HTTP_URL


def test_every_key_that_may_hold_a_secret_is_tried() -> None:
    assert set(fields(Cluster)) == set(COVERED)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[Lab]:
    yield from make_lab(tmp_path_factory.mktemp("secrets"), "--masters", "1", "--workers", "1")


def spellings(canary: str) -> list[bytes]:
    """A text and what base64 makes of it, wherever in a text it stands."""
    found = [canary.encode()]
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + canary.encode())
        found.append(encoded[(0, 2, 3)[shift] : -4])
    return found


def held(content: bytes) -> set[str]:
    """The canaries in a text."""
    return {name for name, value in CANARIES.items() if any(each in content for each in spellings(value))}


def write_cluster(lab: Lab) -> Path:
    """cluster.yaml with a canary in each of its secrets."""
    for host, name in (("master1", "sudo-env"), ("worker1", "sudo-file")):
        login = base64.b64encode(f"{PASSWORD_USER}:{CANARIES[name]}".encode()).decode()
        lab.sh(host, f"echo {login} | base64 -d | chpasswd")
    for name in ("sudo-file", "registry-file"):
        (lab.directory / name).write_text(CANARIES[name] + "\n")
        (lab.directory / name).chmod(0o600)
    servers = lab.sh("worker1", "grep -rhoE 'https?://[^/ ]+' /etc/apt/sources.list* | cut -d/ -f3 | sort -u")

    def change(config: dict[str, typing.Any]) -> None:
        config["ssh"] |= {"user": PASSWORD_USER, "sudoPassword": {"env": "CANARY_SUDO"}}
        config["hosts"][1]["ssh"] = {"sudoPassword": {"file": "sudo-file"}}
        config["runtime"]["registries"] = [
            {"host": "one.example.com", "username": "puller", "password": {"env": "CANARY_REGISTRY"}},
            {"host": "two.example.com", "username": "puller", "password": {"file": "registry-file"}},
        ]
        config["proxy"] = {
            kind: f"http://robot:{CANARIES[f'proxy-{kind}']}@proxy.example.com:3128"
            for kind in ("http", "https")
        }
        config["proxy"]["noProxy"] = [name.partition(":")[0] for name in servers.split()]
        config["artifacts"]["sources"].append(
            {"url": f"https://robot:{CANARIES['source']}@127.0.0.1:9/files"}
        )

    file = lab.variant("secrets.yaml", change)
    file.chmod(0o600)
    return file


class Watch:
    """Looks at all processes of this machine, those of lab hosts among them, until it is stopped."""

    def __init__(self) -> None:
        self.leaks: set[str] = set()
        self.looks = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._namespace = Path("/proc/self/ns/pid").readlink()

    def __enter__(self) -> typing.Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(0.2):
            self.looks += 1
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    self._see(process)
                except OSError:
                    continue  # it has ended

    def _see(self, process: Path) -> None:
        command = (process / "cmdline").read_bytes()
        for name in held(command):
            self.leaks.add(f"{name} is on the command line of {command!r}")
        of_host = (process / "ns/pid").readlink() != self._namespace
        if of_host and process.stat().st_uid == 0:
            return  # package manager and runtime need the proxy; other users of the host can't read it
        if b"k8sbootstrap\0" in command or b"k8sbootstrap.run.launch" in command:
            return
        for name in held((process / "environ").read_bytes()):
            self.leaks.add(f"{name} is in the environment of {command!r}")


def on_controller(lab: Lab, since: float) -> set[str]:
    """Every file of this machine that holds a canary and may not, or is open to others."""
    leaks = set()
    given = {lab.directory / name for name in ("secrets.yaml", "failing.yaml", "sudo-file", "registry-file")}
    roots = [lab.directory, cache_dir(), *Path("/tmp").glob("k8sbootstrap-*")]
    for path in (path for root in roots for path in root.rglob("*")):
        if path in given or not path.is_file() or path.stat().st_mtime < since or "lab.hosts" in path.parts:
            continue
        allowed = KEPT.get(path.name, ()) if path.parent == lab.state else ()
        for name in held(path.read_bytes()):
            mode = path.stat().st_mode & 0o777
            if not name.startswith(allowed or ("-",)) or mode != 0o600:
                leaks.add(f"{name} is in {path} ({mode:04o})")
    return leaks


def on_host(lab: Lab, host: str) -> set[str]:
    """The same of a host's files, its journal, and what systemd shows of its units."""
    leaks = set()
    for name, value in CANARIES.items():
        patterns = base64.b64encode(b"\n".join(spellings(value))).decode()
        give = f"echo {patterns} | base64 -d |"
        files = "/etc /var /root /home /run /tmp /usr/local /opt"
        found = lab.sh(host, f"{give} grep -rlaF --devices=skip -f - {files} 2>/dev/null || true").split()
        for path in found:
            mode = lab.sh(host, f"stat -c %a:%U {path}", code=None).strip()
            if path not in HOLDERS[name] or mode != "600:root":
                leaks.add(f"{name} is in {path} of {host} ({mode})")
        for source in ("journalctl --no-pager -o export", "systemctl show --all '*'"):
            script = f"{source} >/root/.seen; {give} grep -caF -f - /root/.seen; rm /root/.seen"
            count = lab.sh(host, script, code=None).strip()
            if count != "0":
                leaks.add(f"{name} is in {count} lines of {source} of {host}")
    return leaks


def test_secrets_stay_where_they_are_needed(lab: Lab) -> None:
    started = time.time()
    file = write_cluster(lab)
    said: list[str] = []

    def k(*arguments: str, code: int | None = 0, of: Path = file) -> str:
        variables = {
            "CANARY_SUDO": CANARIES["sudo-env"],
            "CANARY_REGISTRY": CANARIES["registry-env"],
        }
        done = subprocess.run(
            [*COMMAND, "--no-color", "--file", str(of), *arguments],
            cwd=lab.directory,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        output = done.stdout + done.stderr
        said.append(output)
        assert code is None or done.returncode == code, output
        return output

    with Watch() as watch:
        k("up", "--accept-new-host-keys", "--yes")
        k("plan")
        k("verify")
        lab.sh(
            "worker1",
            "printf '[Service]\\nExecStartPre=/bin/false\\n' >/etc/systemd/system/docker.service.d/zz.conf;"
            " systemctl daemon-reload; systemctl stop docker.socket docker",
        )
        failed = k("up", "--yes", code=5)
        assert "worker1 failed at" in failed
        assert "systemctl start docker.service failed" in failed
        lab.sh("worker1", "rm /etc/systemd/system/docker.service.d/zz.conf; systemctl daemon-reload")
        manifest = {"url": f"https://robot:{CANARIES['manifest']}@127.0.0.1:9/a.yaml", "sha256": "ab" * 32}
        failing = lab.directory / "failing.yaml"
        failing.write_text(file.read_text() + f"manifests: [{manifest}]\n")
        k("up", "--yes", code=8, of=failing)
        k("report", "--output", "report.html")
        k("bundle", "create", "--output", "bundle.tar", code=None)
    assert watch.looks > 10
    leaks = watch.leaks | on_controller(lab, started)
    leaks |= {f"{name} is on the terminal" for name in held("".join(said).encode())}
    for host in lab.hosts:
        leaks |= on_host(lab, host)
    assert not leaks, "\n".join(sorted(leaks))
    k("reset", "--yes")
    for host in lab.hosts:
        left = on_host(lab, host)
        assert not [leak for leak in left if "/" in leak.partition(" is in ")[2]], left

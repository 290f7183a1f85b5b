"""Secrets that a user gives, each with its own value, and those that are made: in private files alone."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import secrets
import subprocess
import tarfile
import threading
import time
import typing
from pathlib import Path

import pytest
import yaml
from annotated_types import BaseMetadata
from clusters import SECRETS
from labs import COMMAND, Lab, make_lab
from pydantic import BaseModel, StringConstraints
from registry import PORT, serve

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.config.models.base import HTTP_URL
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.config.models.hosts import EnvSecret
from k8sbootstrap.lab.model import load
from k8sbootstrap.lab.root_image import PASSWORD_USER

pytestmark = pytest.mark.e2e

NAMES = (
    "sudo-env",
    "sudo-file",
    "registry-env",
    "registry-file",
    "proxy-http",
    "proxy-https",
    "source",
    "bucket",
)
CANARIES = {name: f"canary-{name}-{secrets.token_hex(8)}" for name in (*NAMES, "manifest")}
COVERED = {
    "ssh.sudo_password": "sudo-env, on one host",
    "hosts.ssh.sudo_password": "sudo-file",
    "runtime.registries.password": "registry-env, registry-file",
    "runtime.registries.mirrors": "a login in it is refused",
    "proxy.http": "proxy-http",
    "proxy.https": "proxy-https",
    "artifacts.sources.url": "source",
    "etcd.snapshots.s3.endpoint": "a login in it is refused",
    "etcd.snapshots.s3.secret_key": "bucket",
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
    "proxy-https": {"/etc/systemd/system/docker.service.d/proxy.env", "/etc/etcd/snapshot-store.json"},
    "source": set(),
    "bucket": {"/etc/etcd/snapshot-store.json"},
    "manifest": set(),
}
"""Files of hosts that may hold each one."""
KEYS = ("ca.key", "front-proxy-ca.key", "etcd/ca.key", "sa.key")
"""Keys that k8sbootstrap makes: each of them gives all rights in the cluster."""
KEPT = {
    "proxy.json": ("proxy-",),
    "registry-logins.json": ("registry-",),
    "snapshot-store.json": ("bucket", "proxy-https"),
    **{f"pki/{name}": (name,) for name in KEYS},
}
"""Files of the state directory that may hold some, by the beginnings of their names."""
GIVEN = ("secrets.yaml", "failing.yaml", "wrong.yaml", "sudo-file", "registry-file", "bucket")
"""What the user writes."""
TOKEN = "bootstrap token"
TOKEN_FILE = "etc/kubernetes/bootstrap-kubelet.conf"
ETCD = "/var/lib/etcd/member/"
"""etcd keeps what was deleted until it compacts; its files are its own."""


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
    yield from make_lab(tmp_path_factory.mktemp("secrets"), *SECRETS.options)


def spellings(canary: str) -> list[bytes]:
    """A text and what base64 makes of it, wherever in a text it stands."""
    found = [canary.encode()]
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + canary.encode())
        found.append(encoded[(0, 2, 3)[shift] : -4])
    return found


def held(content: bytes, values: typing.Mapping[str, str]) -> set[str]:
    """The names of those of ``values`` that are in a text."""
    return {name for name, value in values.items() if any(each in content for each in spellings(value))}


def may_hold(name: str, path: str, mode: str, host: str) -> bool:
    """Whether a secret may be in a file of a host that has that mode and owner."""
    if name in KEYS:
        return host.startswith("master") and (path, mode) == (f"/etc/kubernetes/pki/{name}", "600:root")
    if name == TOKEN:
        return path.startswith(ETCD) and mode == "600:etcd"
    return path in HOLDERS[name] and mode == "600:root"


def keys_of(lab: Lab) -> dict[str, str]:
    """The first line of each key that k8sbootstrap made: that one has the private number in it."""
    return {name: (lab.state / "pki" / name).read_text().splitlines()[1] for name in KEYS}


def write_cluster(lab: Lab) -> Path:
    """cluster.yaml with a canary in each of its secrets."""
    for host, name in (("master1", "sudo-env"), ("worker1", "sudo-file")):
        login = base64.b64encode(f"{PASSWORD_USER}:{CANARIES[name]}".encode()).decode()
        lab.sh(host, f"echo {login} | base64 -d | chpasswd")
    for name in ("sudo-file", "registry-file", "bucket"):
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
        bucket = {"endpoint": "https://127.0.0.1:9", "bucket": "snapshots", "accessKey": "writer"}
        config["etcd"] = {"snapshots": {"s3": bucket | {"secretKey": {"file": "bucket"}}}}
        config["artifacts"]["sources"].append(
            {"url": f"https://robot:{CANARIES['source']}@127.0.0.1:9/files"}
        )

    file = lab.variant("secrets.yaml", change)
    file.chmod(0o600)
    return file


def with_wrong_password(lab: Lab, file: Path, folder: Path) -> Path:
    """cluster.yaml with a registry that a bundle needs an image of, and that takes another password."""
    config = yaml.safe_load(file.read_text())
    source = Path(lab.config["artifacts"]["sources"][-1]["directory"])
    files = folder / "files"
    files.mkdir()
    for each in source.iterdir():
        if each.name not in {"busybox", "SHA256SUMS"}:
            (files / each.name).symlink_to(each)
    sums = (source / "SHA256SUMS").read_text().splitlines(keepends=True)
    (files / "SHA256SUMS").write_text("".join(line for line in sums if "busybox" not in line))
    own = hashlib.sha256((files / "SHA256SUMS").read_bytes()).hexdigest()
    config["artifacts"] = {"sources": [{"directory": str(files), "ownBuilds": own}], "upstream": False}
    address = f"127.0.0.1:{PORT}"
    login = {"username": "puller", "password": {"env": "CANARY_REGISTRY"}}
    config["runtime"]["name"] = "containerd"  # docker takes no mirror with a login
    config["runtime"]["registries"] = [
        {"host": "docker.io", "mirrors": [f"https://{address}"]},
        {"host": address, "ca": str(folder / "ca.crt"), **login},
    ]
    del config["proxy"]  # it would be asked for the registry
    wrong = lab.directory / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(config))
    wrong.chmod(0o600)
    return wrong


class Watch:
    """Looks at all processes of this machine, those of lab hosts among them, until it is stopped.

    Meanwhile it reads the token from the file that kubelets join with, which is there for seconds.
    """

    def __init__(self, lab: Lab) -> None:
        self.tokens: set[str] = set()
        self.looks = 0
        self._seen: dict[bytes, tuple[str, bool]] = {}
        """Command lines and environments: what they are, and whether the user's secrets may be in it."""
        running = load(lab.file)
        assert running is not None
        self._files = [running.root(host) / TOKEN_FILE for host in running.hosts]
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
            for file in self._files:
                with contextlib.suppress(OSError):
                    self.tokens |= set(re.findall(r"token: [a-z0-9]{6}\.([a-z0-9]{16})", file.read_text()))
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    self._see(process)
                except OSError:
                    continue  # it has ended

    def _see(self, process: Path) -> None:
        command = (process / "cmdline").read_bytes()
        self._seen[command] = (f"the command line of {command!r}", False)
        of_host = (process / "ns/pid").readlink() != self._namespace
        # package manager and runtime need the proxy; other users of the host can't read it
        private = of_host and process.stat().st_uid == 0
        ours = b"k8sbootstrap\0" in command or b"k8sbootstrap.run.launch" in command
        content = (process / "environ").read_bytes()
        self._seen.setdefault(content, (f"the environment of {command!r}", private or ours))

    def leaks(self, values: typing.Mapping[str, str]) -> set[str]:
        """What was seen of ``values``."""
        return {
            f"{name} is in {where}"
            for content, (where, given) in self._seen.items()
            for name in held(content, values)
            if not (given and name in CANARIES)
        }


def on_controller(lab: Lab, since: float, values: typing.Mapping[str, str]) -> set[str]:
    """Every file of this machine that holds a secret and may not, or is open to others."""
    leaks = set()
    given = {lab.directory / name for name in GIVEN}
    roots = [lab.directory, cache_dir(), *Path("/tmp").glob("k8sbootstrap-*")]
    for path in (path for root in roots for path in root.rglob("*")):
        if path in given or not path.is_file() or path.stat().st_mtime < since or "lab.hosts" in path.parts:
            continue
        inside = str(path.relative_to(lab.state)) if path.is_relative_to(lab.state) else ""
        allowed = KEPT.get(inside, ())
        for name in held(path.read_bytes(), values):
            mode = path.stat().st_mode & 0o777
            if not name.startswith(allowed or ("-",)) or mode != 0o600:
                leaks.add(f"{name} is in {path} ({mode:04o})")
    return leaks


def on_host(lab: Lab, host: str, values: typing.Mapping[str, str], *, strict: bool = False) -> set[str]:
    """The same of a host's files, its journal, and what systemd shows of its units.

    Strictly, none of its files may hold any.
    """
    leaks = set()
    sources = {"journal": "journalctl --no-pager -o export", "units": "systemctl show --all '*'"}
    written = "; ".join(f"{command} >/run/seen-{name}" for name, command in sources.items())
    files = "/etc /var /root /home /run /tmp /usr/local /opt"
    everything = _patterns(*values.values())
    suspects = lab.sh(
        host, f"{written}; {everything} grep -rlaF --devices=skip -f - {files} 2>/dev/null || true"
    ).split()
    for name, value in values.items():
        if not suspects:
            break
        found = lab.sh(host, f"{_patterns(value)} grep -laF -f - {' '.join(suspects)} 2>/dev/null || true")
        for path in found.split():
            seen = path.removeprefix("/run/seen-")
            if seen in sources:
                leaks.add(f"{name} is in {sources[seen]} of {host}")
                continue
            mode = lab.sh(host, f"stat -c %a:%U {path}", code=None).strip()
            if strict or not may_hold(name, path, mode, host):
                leaks.add(f"{name} is in {path} of {host} ({mode})")
    lab.sh(host, "rm /run/seen-*")
    return leaks


def _patterns(*values: str) -> str:
    """A shell command that prints all spellings of secrets, for the grep that follows it."""
    lines = b"\n".join(spelling for value in values for spelling in spellings(value))
    return f"echo {base64.b64encode(lines).decode()} | base64 -d |"


def test_secrets_stay_where_they_are_needed(lab: Lab, tmp_path: Path) -> None:
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

    with Watch(lab) as watch:
        k("up", "--accept-new-host-keys", "--yes")
        k("plan")
        k("verify")
        assert "127.0.0.1" in k("etcd", "snapshot", code=None), "an upload was tried"
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
        k("support", "--output", "support.tar.gz")
        with tarfile.open(lab.directory / "support.tar.gz") as archive:
            archive.extractall(lab.directory / "unpacked", filter="data")
        assert (lab.directory / "unpacked/support/hosts/worker1/units/docker.txt").stat().st_size > 1000
        with serve(tmp_path, "127.0.0.1") as registry:
            refused = k(
                "bundle", "create", "--output", "bundle.tar", of=with_wrong_password(lab, file, tmp_path)
            )
            assert registry.requests('"GET /v2/library/busybox/manifests/'), "it was asked"
        assert f"127.0.0.1:{PORT}: answered 401" in refused, refused
    assert watch.looks > 10
    assert len(watch.tokens) == 1, "one token for all nodes"
    values = CANARIES | keys_of(lab) | {TOKEN: watch.tokens.pop()}
    made = {name: value for name, value in values.items() if name not in CANARIES}
    holders = on_host(lab, "master1", made, strict=True)
    assert {leak.partition(" is in ")[0] for leak in holders} == set(made), "the search finds what is there"
    leaks = watch.leaks(values) | on_controller(lab, started, values)
    leaks |= {f"{name} is on the terminal" for name in held("".join(said).encode(), values)}
    for host in lab.hosts:
        leaks |= on_host(lab, host, values)
    assert not leaks, "\n".join(sorted(leaks))
    k("reset", "--yes")
    for host in lab.hosts:
        left = on_host(lab, host, values, strict=True)
        assert not [leak for leak in left if "/" in leak.partition(" is in ")[2]], left

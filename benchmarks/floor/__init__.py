"""The least that the same work costs: plain shell over parallel SSH, with all at hand as finished files."""

import base64
import json
import re
import subprocess
import tarfile
from collections.abc import Collection, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from benchmarks.clusters import Lab, play
from benchmarks.harness import Sample, seconds

_SCRIPTS = Path(__file__).parent
_OS = "debian 12"
"""What the lab's hosts run."""
_TOKEN = ("abcdef", "0123456789abcdef")
"""What the roles' recorder answers for the bootstrap token."""
_SSH = """\
Host *
  User {user}
  IdentityFile {key}
  IdentitiesOnly yes
  UserKnownHostsFile {known_hosts}
  Ciphers aes128-gcm@openssh.com
  ControlMaster auto
  ControlPath {folder}/%n.socket
  ControlPersist 60
"""


def reach(lab: Lab, folder: Path) -> None:
    """Write down how hosts are reached, and which of them are masters."""
    config, folder = lab.config, folder.resolve()
    key = lab.directory / config["ssh"]["key"]
    names = "".join(f"Host {name}\n  HostName {lab.address(name)}\n" for name in lab.hosts)
    general = _SSH.format(
        user=config["ssh"]["user"], key=key, known_hosts=lab.state / "known_hosts", folder=folder
    )
    (folder / "ssh_config").write_text(names + general)
    masters = [host["name"] for host in config["hosts"] if "master" in host["roles"]]
    (folder / "masters").write_text("".join(f"{name}\n" for name in masters))


def run(script: str, folder: Path, *arguments: str) -> Sample:
    """Run a script, and measure that alone.

    Raises:
        RuntimeError: it failed.
    """
    log = folder / "log"
    with log.open("w") as output:  # not a pipe: ssh's shared connections would hold it open
        command = [str(_SCRIPTS / script), str(folder), *arguments]
        done = None

        def call() -> None:
            nonlocal done
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )

        sample = seconds(call)
    for socket in folder.glob("*.socket"):
        end = ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "any"]
        subprocess.run(end, check=False, capture_output=True)
    if done is None or done.returncode:
        raise RuntimeError(f"{script} failed:\n{log.read_text()[-4000:]}")
    return sample


def lay_out(lab: Lab, folder: Path, new: Collection[str], only: Collection[str] = ()) -> None:
    """Write all that the hosts ``new`` get, as the roles would send it, and what the others need to know.

    Certificates are issued and templates are rendered here: no clock runs. ``only`` names the components
    whose files are wanted, all if empty.
    """
    reach(lab, folder)
    lab.k("render", "--output", str(folder / "inventory"))
    (folder / "play").mkdir()
    calls = play(folder / "play", folder / "inventory", {}, "--limit", "all")
    variables = yaml.safe_load((folder / "inventory/group_vars/all.yml").read_text())
    paths = dict(_artifacts(variables))
    nodes = list(
        yaml.safe_load((folder / "inventory/hosts.yml").read_text())["all"]["children"]["nodes"]["hosts"]
    )
    for name in nodes:
        requests = [each for each in _arguments(calls, name, "component") if not only or each["name"] in only]
        _host(folder / name, requests, paths, nodes)
        base = _arguments(calls, name, "host_packages")[0]
        users = [user for request in requests for user in request["users"]]
        (folder / name / "users").write_text("".join(f"{user['name']}\n" for user in users))
        packages = next(each["packages"] for each in base["platforms"] if _OS in each["os"])
        (folder / name / "packages").write_text("\n".join(packages))
        (folder / name / "hold").write_text("\n".join(base["hold_units"]))
    (folder / "new").write_text("".join(f"{name}\n" for name in new))
    (folder / "nodes").write_text("".join(f"{name}\n" for name in nodes))
    first = (folder / "masters").read_text().split()[0]
    bindings = [thing for call in _arguments(calls, first, "kube_apply") for thing in call["objects"]]
    join = {"apiVersion": "v1", "kind": "List", "items": [*(bindings if first in new else []), _token()]}
    (folder / "join.json").write_text(json.dumps(join))
    settings = next(call["nodes"] for call in _arguments(calls, first, "kube_nodes") if call.get("nodes"))
    labels = {name: [f"{key}={value}" for key, value in settings[name]["labels"].items()] for name in new}
    lines = [f"kubectl label node {name} {' '.join(words)}\n" for name, words in labels.items() if words]
    (folder / "labels").write_text("".join(lines))


def _host(folder: Path, requests: list[dict[str, Any]], paths: dict[str, Path], nodes: list[str]) -> None:
    """What one host gets: binaries as links, other files as archives with their modes and owners."""
    folder.mkdir()
    with (
        tarfile.open(folder / "files.tar", "w") as files,
        tarfile.open(folder / "network.tar", "w") as network,
    ):
        for request in requests:
            for item in request["directories"]:
                files.addfile(_entry(item["path"], item, tarfile.DIRTYPE))
            for item in request["files"]:
                if item["dest"] == "/etc/kubernetes/kubelet.conf":
                    continue  # the kubelet writes it when it has joined
                content = base64.b64decode(item["content"])
                if request["name"] == "pod_network":
                    content = _with_marks(content.decode(), nodes).encode()
                entry = _entry(item["dest"], item, tarfile.REGTYPE)
                entry.size = len(content)
                (network if request["name"] == "pod_network" else files).addfile(entry, BytesIO(content))
            for item in request["binaries"]:
                add_binary(folder, item["dest"], paths[item["sha256"]])


def add_binary(host: Path, dest: str, source: Path) -> None:
    """Let a host get a program; kubelet's is listed twice where a node joins."""
    link = host / "binaries" / dest.lstrip("/")
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(source)


def _entry(path: str, item: dict[str, str], kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode = kind, int(item["mode"], 8)
    entry.uname, entry.gname = item.get("owner", "root"), item.get("group", "root")
    return entry


def _with_marks(text: str, nodes: list[str]) -> str:
    """The recorder's podCIDRs are made up: the script puts the real one in the place of each node's name."""
    return re.sub(r"10\.244\.(\d+)\.0/24", lambda found: f"@{nodes[int(found[1])]}@", text)


def _token() -> dict[str, Any]:
    data = {"token-id": _TOKEN[0], "token-secret": _TOKEN[1], "usage-bootstrap-authentication": "true"}
    data["auth-extra-groups"] = "system:bootstrappers:kubeadm:default-node-token"
    metadata = {"name": f"bootstrap-token-{_TOKEN[0]}", "namespace": "kube-system"}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token"}
    return kind | {"metadata": metadata, "stringData": data}


def _arguments(calls: dict[str, list[dict[str, Any]]], host: str, action: str) -> list[dict[str, Any]]:
    return [call["arguments"] for call in calls[host] if call["action"] == action]


def _artifacts(value: Any) -> Iterable[tuple[str, Path]]:
    """Hash and path of every file to install, wherever in the inventory it is named."""
    if isinstance(value, dict) and {"path", "sha256"} <= set(value):
        yield value["sha256"], Path(value["path"])
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _artifacts(item)

"""Hosts that lie: a Python on the host that runs no module, and answers what it likes.

The real playbooks run against it, with this program's settings, with the checkout's ansible.cfg, and with
Ansible's own defaults. Nothing of the controller may get there but what roles are meant to send, and nothing
that was planted may run here.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from scenarios import ROOT, SCENARIOS, render_only_inventory

from k8sbootstrap.run.ansible import settings

CANARY = "canary-that-never-leaves-the-controller"
LIAR = """\
#!{python} -I
import sys
sent = open(sys.argv[1], "rb").read() if len(sys.argv) > 1 else sys.stdin.buffer.read()
with open({log!r}, "ab") as log:
    log.write(sent + b"\\n")
print(open({answer!r}).read())
"""
HONEST = {
    "changed": False,
    "changes": [],
    "exists": True,
    "registered": True,
    "pending_restarts": [],
    "inputs": {},
    "pod_cidrs": {"master1": "10.244.0.0/24", "worker1": "10.244.1.0/24"},
    "token": "",
    "report": {
        "cluster": "demo",
        "data": True,
        "changed": 0,
        "members": {},
        "formed": False,
        "api": [],
        "joined": False,
        "restoring": "",
        "living": None,
    },
}
"""What every module may answer; each takes what it knows."""
WAYS = ("our settings", "ansible.cfg of the checkout", "Ansible's defaults")


@dataclass(frozen=True)
class Scene:
    """A controller with something to steal, and a cluster whose hosts lie."""

    folder: Path
    inventory: Path
    evil: Path
    ran: Path
    """Exists once a planted task or program ran on the controller."""

    @property
    def canary(self) -> Path:
        return self.evil / "canary"

    def tell(
        self, way: str, answer: Mapping[str, Any], playbook: str = "site", **more: object
    ) -> tuple[str, str]:
        """Run a playbook, with more variables; returns Ansible's output, and all that hosts were sent."""
        log, words, liar = self.folder / "sent", self.folder / "answer", self.folder / "python3"
        words.write_text(json.dumps(answer))
        liar.write_text(LIAR.format(python=sys.executable, log=str(log), answer=str(words)))
        liar.chmod(0o755)
        environment = {
            "HOME": str(self.folder / "home"),
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ["PATH"],
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_NOCOLOR": "1",
        }
        folder = self.folder
        if way == "our settings":
            environment |= settings(2)
        elif way == "ansible.cfg of the checkout":
            folder = ROOT
        else:
            environment |= {"ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_PIPELINING": "True"}
        connection = more | {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": str(liar),
            "ansible_remote_tmp": str(self.folder / "remote"),
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory)]
        command += ["-e", json.dumps(connection), "--limit", "master1,worker1"]
        done = subprocess.run(
            [*command, "--check", str(ROOT / f"playbooks/{playbook}.yml")],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return done.stdout + done.stderr, log.read_text(errors="replace") if log.exists() else ""


def stolen(sent: str) -> bool:
    """Whether the canary is in what hosts were sent, as text or in any of the three alignments of base64."""
    aligned = [base64.b64encode(b"x" * shift + CANARY.encode())[4:-4].decode() for shift in range(3)]
    return CANARY in sent or any(text in sent for text in aligned)


def test_every_module_goes_through_the_filter() -> None:
    """Each has its action, and roles use no others: those would be believed, whatever a host answers."""
    modules = {path.stem for path in (ROOT / "playbooks/library").glob("*.py")}
    actions = {
        path.stem
        for path in (ROOT / "playbooks/action_plugins").glob("*.py")
        if "class ActionModule(OwnModule)" in path.read_text()
    }
    assert actions == modules
    words = {"name", "vars", "when", "register", "run_once", "delegate_to", "no_log", "throttle"}
    files = [*(ROOT / "roles").glob("*/tasks/*.yml"), ROOT / "playbooks/reset.yml"]
    for path in files:
        tasks = yaml.safe_load(path.read_text())
        for task in tasks if path.parent.name == "tasks" else tasks[0]["tasks"]:
            here = {"ansible.builtin.include_tasks", "etcd_verdict"}  # they ask no host
            assert set(task) - words <= modules | here, path
            assert "{{" not in str(task.get("ansible.builtin.include_tasks", "")), path


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scenario = next(each for each in SCENARIOS if each.name == "1.36-docker")
    render_only_inventory(scenario, tmp_path)
    evil = tmp_path / "evil"
    pki = next((tmp_path / ".k8sbootstrap").glob("*/pki"))
    for path in pki.rglob("*"):
        if path.is_file():
            copy = evil / path.relative_to(pki)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(CANARY)
    (evil / "canary").write_text(CANARY)
    ran = tmp_path / "ran"
    task = [{"name": "Planted", "command": f"touch {ran}", "delegate_to": "localhost", "check_mode": False}]
    (evil / "x.yml").write_text(json.dumps(task))
    (evil / "program").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (evil / "program").chmod(0o755)
    (tmp_path / "home").mkdir()
    return Scene(tmp_path, tmp_path / "inventory", evil, ran)


def variables(scene: Scene) -> dict[str, Any]:
    """Values for roles' variables that have the controller hand out the canary, or run what is planted."""
    taken: dict[str, Any] = {}
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for name in yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]:
            if name.endswith("_pki_dir"):
                taken[name] = str(scene.evil)
            elif name.endswith("_kubeconfig"):
                taken[name] = str(scene.canary)
    taken |= {
        "kubelet_registry_logins": {"path": str(scene.canary), "sha256": "0" * 64},
        "container_runtime_logins": {"path": str(scene.canary), "sha256": "0" * 64},
        "addons_file": {"path": str(scene.canary), "sha256": "0" * 64},
        "container_runtime_name": str(scene.evil / "x"),
    }
    for option in ("sftp", "scp", "ssh"):
        taken[f"ansible_{option}_executable"] = str(scene.evil / "program")
    return taken


def facts(scene: Scene) -> dict[str, Any]:
    return {"ansible_facts": variables(scene)}


def missing_files(scene: Scene) -> dict[str, Any]:
    return {"missing": [str(scene.canary)]}


def missing_packages(scene: Scene) -> dict[str, Any]:
    return {"missing": {"system": "debian12/amd64", "files": [str(scene.canary)]}}


def units(_: Scene) -> dict[str, Any]:
    return {"pending_restarts": ["sshd.service"], "inputs": {"sshd.service": ["x"]}}


def wrong_types(_: Scene) -> dict[str, Any]:
    return {
        "changes": {"a": 1},
        "pod_cidrs": ["x"],
        "inputs": 3,
        "diff": "text",
        "msg": ["x"],
        "exists": "no",
    }


def deep(_: Scene) -> dict[str, Any]:
    value: Any = []
    for _level in range(500):
        value = [value]
    return {"changes": value, "diff": value}


LIES: dict[str, tuple[Callable[[Scene], dict[str, Any]], str, str]] = {
    "facts": (facts, "site", "failed=0"),
    "files": (missing_files, "kube_proxy", "asks for files that are not part of this component"),
    "packages": (missing_packages, "packages", "packages of an operating system that is not in the bundle"),
    "units": (units, "etcd", "asks to restart units that are not part of this component"),
    "wrong types": (wrong_types, "kubelet", "the host sent an answer that the module"),
    "deep": (deep, "kube_proxy", "the host sent an answer that the module component"),
}
"""What a host answers, to which playbook, and what Ansible then says."""


# what is refused in the plugins does not depend on settings
@pytest.mark.parametrize(
    ("lie", "way"), [*(("facts", way) for way in WAYS[:2]), *((lie, WAYS[2]) for lie in LIES)]
)
def test_a_lie_brings_nothing(scene: Scene, lie: str, way: str) -> None:
    tell, playbook, expected = LIES[lie]
    output, sent = scene.tell(way, HONEST | tell(scene), playbook)
    assert expected in output
    assert "Traceback" not in output
    assert not stolen(sent)
    assert not scene.ran.exists()
    assert "from __future__" in sent, "hosts were asked at all"


def test_what_is_meant_to_be_sent_is_found_by_this_test(scene: Scene) -> None:
    """The control: the search finds what roles do send, such as a CA's certificate."""
    for path in scene.folder.glob(".k8sbootstrap/*/pki/ca.crt"):
        path.write_text(CANARY)
    output, sent = scene.tell("Ansible's defaults", HONEST)
    assert "failed=0" in output
    assert stolen(sent)


def ask_for_packages(scene: Scene, *names: str) -> tuple[str, list[Path]]:
    """Have a host ask for packages of a bundle; returns Ansible's output, and the archives that were sent."""
    folder = scene.folder / "bundle"
    folder.mkdir()
    (folder / "good.deb").write_text("a package")
    (folder / "linked.deb").symlink_to(scene.canary)
    (folder / "folder.deb").mkdir()
    (folder / "folder.deb/inside").write_text(CANARY)
    (folder / "unlisted.deb").write_text(CANARY)
    stanzas = [f"Package: {name}\nFilename: ./{name}.deb\n" for name in ("good", "linked", "folder")]
    stanzas.append(f"Package: path\nFilename: {scene.canary}\n")
    (folder / "Packages").write_text("\n".join(stanzas))
    lie = {"missing": {"system": "debian12/amd64", "files": list(names)}}
    output, _ = scene.tell(
        WAYS[0], HONEST | lie, "packages", packages_repositories={"debian12/amd64": str(folder)}
    )
    return output, list((scene.folder / "remote").rglob("*.tar")) if (
        scene.folder / "remote"
    ).exists() else []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unlisted.deb", "not packages of the bundle"),
        ("../evil/canary", "not packages of the bundle"),
        ("linked.deb", "is not a regular file"),
        ("folder.deb", "is not a regular file"),
        ("{canary}", "not packages of the bundle"),
    ],
)
def test_a_host_gets_no_file_that_is_not_a_package(scene: Scene, name: str, expected: str) -> None:
    output, sent = ask_for_packages(scene, "good.deb", name.format(canary=scene.canary))
    assert expected in output
    assert sent == []


def test_a_package_that_is_listed_is_sent(scene: Scene) -> None:
    """The control; the archive goes away again with the folder that it was sent to."""
    output, _ = ask_for_packages(scene, "good.deb")
    assert "failed=0" in output
    sent = (scene.folder / "sent").read_text(errors="replace")
    assert "packages.tar" in sent


def test_facts_of_the_users_own_tasks_do_not_replace_variables(scene: Scene) -> None:
    """Where a play of the user's gathers facts, they may have the names of variables: that is refused."""
    play = {
        "hosts": "worker1",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.stat": {"path": "/"}},
            {"ansible.builtin.import_role": {"name": "kubelet"}},
        ],
    }
    book = scene.folder / "own.yml"
    book.write_text(json.dumps([play]))
    words, liar, log = scene.folder / "answer", scene.folder / "python3", scene.folder / "sent"
    words.write_text(json.dumps(HONEST | facts(scene)))
    liar.write_text(LIAR.format(python=sys.executable, log=str(log), answer=str(words)))
    liar.chmod(0o755)
    plugins = ROOT / "playbooks"
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(scene.inventory), "--check"),
            *("-e", json.dumps({"ansible_connection": "local", "ansible_become": False})),
            *("-e", f"ansible_python_interpreter={liar}", str(book)),
        ],
        env={
            "HOME": str(scene.folder / "home"),
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ["PATH"],
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
            "ANSIBLE_LIBRARY": str(plugins / "library"),
            "ANSIBLE_ACTION_PLUGINS": str(plugins / "action_plugins"),
            "ANSIBLE_FILTER_PLUGINS": str(plugins / "filter_plugins"),
            "ANSIBLE_MODULE_UTILS": str(plugins / "module_utils"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "would replace variables of the inventory" in done.stdout
    assert not stolen(log.read_text(errors="replace"))

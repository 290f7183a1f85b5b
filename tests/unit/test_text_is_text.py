"""Text in cluster.yaml is never a template for Ansible, and arrives as it is written."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo

from k8sbootstrap.artifacts.own_images import own_images
from k8sbootstrap.config.models.base import DIRECT_HOST, HTTP_URL
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.formats import ansible_yaml
from k8sbootstrap.inventory.build import build_inventory
from k8sbootstrap.inventory.write import write_inventory
from k8sbootstrap.lab.image_tar import write_image
from k8sbootstrap.pki import x509
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.phases import PHASES
from k8sbootstrap.resources import data_dir
from k8sbootstrap.state import State
from tests.unit.inventory.clusters import fetched

FREE_PATTERNS = {HTTP_URL, DIRECT_HOST}
"""Patterns in which a template could be spelled."""
CHECKED_BY_RULES = {
    "hosts[].address": "an address",
    "hosts[].labels{}": "a label's value",
    "hosts[].taints[].key": "a taint's key",
    "hosts[].taints[].value": "a taint's value",
    "hosts[].ssh.bastion.address": "an address",
    "ssh.bastion.address": "an address",
    "api.endpoint": "HOST or HOST:PORT",
    "api.extraSANs[]": "a name or an address",
}
"""Fields whose rules refuse braces."""
NOT_FOR_ANSIBLE = {
    "artifacts.bundle",
    "artifacts.sources[].directory",
    "artifacts.sources[].url",
    "etcd.snapshots.s3.accessKey",
    "etcd.snapshots.s3.ca",
    "etcd.snapshots.s3.endpoint",
    "etcd.snapshots.s3.secretKey.env",
    "etcd.snapshots.s3.secretKey.file",
    "hooks[].command[]",
    "hosts[].ssh.sudoPassword.env",
    "hosts[].ssh.sudoPassword.file",
    "releases{}.files{}.url",
    "runtime.registries[].password.env",
    "runtime.registries[].password.file",
    "runtime.registries[].username",
    "ssh.sudoPassword.env",
    "ssh.sudoPassword.file",
    "manifests[].chart",
    "manifests[].directory",
    "manifests[].file",
    "manifests[].repository",
    "manifests[].url",
    "manifests[].values{}",
    "manifests[].valuesFiles[]",
    "network.cilium.values{}",
}
"""What the controller uses itself, and what ends in Kubernetes objects, which are applied from a file."""


def free_fields(kind: Any, path: str = "") -> Iterator[str]:  # noqa: C901
    """Every place below a model where a user can write a text with braces."""
    origin = get_origin(kind)
    if origin is Annotated:
        base, *marks = get_args(kind)
        patterns = {mark.pattern for mark in marks if isinstance(mark, StringConstraints)}
        if not patterns or patterns & FREE_PATTERNS:
            yield from free_fields(base, path)
    elif origin is Literal:
        return
    elif origin in {list, tuple}:
        yield from free_fields(get_args(kind)[0], f"{path}[]")
    elif origin is dict:
        inner = get_args(kind)[1]
        # a mapping by component or version is one step of the path
        yield from free_fields(inner, f"{path}{{}}")
    elif origin in {Union, type(int | str)}:
        for part in get_args(kind):
            yield from free_fields(part, path)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield from free_fields(_with_marks(field), f"{path}.{field.alias or name}".lstrip("."))
    elif kind in {str, Path, Any}:
        yield path


def _with_marks(field: FieldInfo) -> Any:
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


TEXT = "{{ansible_marker}}{%raw%}%h$HOME{%endraw%}"
"""A template, had Ansible taken it for one."""
MARKER = "expanded"
CLUSTER = """\
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: demo
kubernetes:
  version: 1.36.4
  extraArgs: {kube-scheduler: {v: "@"}, etcd: {log-outputs: "@"}}
  extraConfig: {kubelet: {nested: {deep: ["@"], "@": 1}}}
ssh: {key: "@"}
runtime:
  name: containerd
  images: ["@.tar"]
  registries: [{host: docker.io, mirrors: ["https://mirror.example.com/@"], ca: "@.crt"}]
registry: {host: m1, images: ["@.tar"]}
api: {authentication: "@.yaml"}
proxy: {http: "http://@", https: "http://@", noProxy: ["@"]}
hosts:
  - {name: m1, address: 127.0.0.1, privateAddress: 10.0.0.1, roles: [master, worker], ssh: {port: 1}}
  - name: w1
    address: 127.0.0.2
    privateAddress: 10.0.0.2
    roles: [worker]
    ssh: {key: "@"}
"""
"""``@`` stands for the text."""
WRITTEN = {
    "api.authentication",
    "hosts[].ssh.key",
    "kubernetes.extraArgs{}{}",
    "kubernetes.extraConfig{}{}",
    "proxy.http",
    "proxy.https",
    "proxy.noProxy[]",
    "registry.images[]",
    "runtime.images[]",
    "runtime.registries[].ca",
    "runtime.registries[].mirrors[]",
    "ssh.key",
}
"""Fields that CLUSTER fills with the text."""
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  vars: {ansible_connection: local, ansible_become: false}
  tasks:
    - ansible.builtin.copy:
        content: "{{ hostvars[inventory_hostname] | to_json }}"
        dest: "{{ playbook_dir }}/seen-{{ inventory_hostname }}.json"
        mode: "0600"
"""


def test_every_text_field_is_known() -> None:
    """A new field of text belongs in CLUSTER, or in one of the lists above."""
    assert set(free_fields(Cluster)) == WRITTEN | set(CHECKED_BY_RULES) | NOT_FOR_ANSIBLE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose own name looks like a template, with a cluster in it and what that names."""
    folder = tmp_path / TEXT.replace("$", "")  # Ansible expands $HOME in the path of an inventory
    folder.mkdir()
    (folder / "cluster.yaml").write_text(CLUSTER.replace("@", TEXT))
    (folder / TEXT).write_text("key")
    (folder / TEXT).chmod(0o600)
    (folder / f"{TEXT}.crt").write_bytes(x509.certificate_pem(x509.make_authority("ca", x509.new_key())))
    (folder / f"{TEXT}.yaml").write_text(
        "{apiVersion: apiserver.config.k8s.io/v1, kind: AuthenticationConfiguration}"
    )
    write_image(folder / f"{TEXT}.tar", "registry.example.com/own:1", {}, {})
    return folder


def texts(value: Any) -> Iterator[str]:
    """Every text in a document, keys included."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def test_text_arrives_and_is_never_expanded(folder: Path, tmp_path: Path) -> None:
    plan = load_plan(folder / "cluster.yaml")
    state = State.beside(folder / "cluster.yaml", "demo")
    ensure_pki(plan, state)
    named = [*plan.config.runtime.images, *(plan.config.registry.images if plan.config.registry else [])]
    files = {key: replace(file, path=folder / key) for key, file in fetched(plan).items()}
    inventory = folder / "inventory"
    images = own_images(named, folder, tmp_path / "cache")
    write_inventory(build_inventory(plan, state, files, images), inventory)
    (tmp_path / "look.yml").write_text(PLAYBOOK)
    (tmp_path / "ansible.cfg").touch()
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }

    def ansible(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ansible", program, "-i", str(inventory)]
        command += ["-e", f"ansible_marker={MARKER}", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    looked = ansible("playbook", str(tmp_path / "look.yml"))
    assert looked.returncode == 0, looked.stdout + looked.stderr
    for host in ("m1", "w1"):
        variables = json.loads((tmp_path / f"seen-{host}.json").read_text())
        own = {name: value for name, value in variables.items() if not name.startswith("ansible_")}
        arrived = [text for text in texts(own) if TEXT in text]
        written = [
            text
            for name in (f"host_vars/{host}.yml", "group_vars/all.yml")
            for text in texts(
                {
                    key: value
                    for key, value in ansible_yaml.load((inventory / name).read_text()).items()
                    if not key.startswith("ansible_")
                }
            )
            if TEXT in text
        ]
        assert sorted(arrived) == sorted(written)
        assert {TEXT, f"https://mirror.example.com/{TEXT}"} <= set(arrived)
        assert TEXT in variables["ansible_ssh_common_args"].replace("%%", "%")
    pinged = ansible("adhoc", "all", "-m", "ping")
    assert "UNREACHABLE" in pinged.stdout, pinged.stdout + pinged.stderr
    assert MARKER not in pinged.stdout + pinged.stderr


def test_own_playbooks_are_written_without_templates() -> None:
    """The runner writes all text in plays as text, so plays of phases can't have templates."""
    for phase in PHASES:
        assert "{{" not in (data_dir() / "playbooks" / phase.playbook).read_text()

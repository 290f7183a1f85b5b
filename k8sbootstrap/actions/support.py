"""Making an archive of everything that helps to find out what is wrong, without secrets."""

import base64
import binascii
import io
import json
import re
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options
from pydantic_core import from_json

import k8sbootstrap
from k8sbootstrap.checks.doctor.causes import Diagnosis, as_document, diagnose
from k8sbootstrap.checks.doctor.text import text
from k8sbootstrap.formats.redact import Redactor
from k8sbootstrap.formats.text import moment, printable
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.inventory.logins import read_logins
from k8sbootstrap.inventory.snapshot_store import read_store
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.record import RUN_ID
from k8sbootstrap.state import State
from k8sbootstrap.survey.doctor import kept
from k8sbootstrap.survey.doctor.look import ClusterLook, look
from k8sbootstrap.survey.doctor.support import api_commands, host_commands

FOLDER = "support"
LOOK = f"{FOLDER}/look.json"
"""The file that ``doctor --from`` reads."""
LARGEST_LOOK = 512 << 20
"""Bytes that it may have: that of 200 hosts has a tenth."""
_RUNS = 5
"""Newest runs whose records are taken."""
_RUN_FILES = ("summary.json", "events.jsonl", "ansible.log")
_RUN_BYTES = 2_000_000
"""Bytes from the end of each file of a run."""
_URL_LOGIN = re.compile(r"://[^\s/@:\"']*:([^\s/@\"']+)@")
_KEY_LINE = 40
"""Characters of a line of a private key that is worth looking for."""
_README = """\
Made by k8sbootstrap {version} at {time}.

doctor.txt      what is wrong, as k8sbootstrap doctor says it; doctor.json is the same for programs
look.json       what doctor saw: k8sbootstrap doctor --from THIS-ARCHIVE judges it again, on any machine
cluster.yaml    the cluster as it should be
hosts/NAME/     units, journals, settings, etcd, network, runtime; error.txt where a host did not answer
api/            objects of kube-system, and lists of nodes, pods, Services and events
runs/           records of the newest runs

Passwords, tokens, private keys and logins in URLs are replaced by ***. Keys and kubeconfigs of hosts, and
Secrets of Kubernetes, were not read. Look through it all the same before you give it to others.
"""


@dataclass(frozen=True)
class Support:
    """What goes into an archive."""

    plan: ClusterPlan
    look: ClusterLook
    diagnosis: Diagnosis


def collect(plan: ClusterPlan, pool: Pool) -> Support:
    """Ask all hosts and the API for everything. Changes nothing.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
    """
    seen = look(plan, pool, host_commands, api_commands())
    return Support(plan, seen, diagnose(plan, seen))


def archive(found: Support, cluster_file: Path) -> bytes:
    """The archive, a tar.gz.

    Args:
        found: What ``collect`` returned.
        cluster_file: Where the plan came from; the state directory is beside it.

    Raises:
        StateError: The state directory belongs to another user.
        ConfigError: A secret, which must not be in the archive, can't be read.
    """
    state = State.beside(cluster_file, found.plan.config.name)
    redactor = Redactor(secrets_of(found.plan, cluster_file, state))
    out, now = io.BytesIO(), int(time.time())
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in _files(found, cluster_file, state, redactor):
            data = content.encode("utf-8", "replace")
            member = tarfile.TarInfo(name if name == LOOK else f"{FOLDER}/{name}")
            member.size, member.mtime, member.mode = len(data), now, 0o600
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def encrypted(content: bytes, recipient: Path) -> bytes:
    """An archive that only the owner of a private key can read, as ``openssl cms`` does.

    Args:
        content: The archive.
        recipient: PEM file with the owner's certificate, of an RSA key.

    Raises:
        ValueError: The file has no such certificate.
        OSError: It can't be read.
    """
    builder = PKCS7EnvelopeBuilder().set_content_encryption_algorithm(AES256)
    try:
        builder = builder.add_recipient(x509.load_pem_x509_certificate(recipient.read_bytes()))
    except TypeError as exc:
        raise ValueError("its key is no RSA key") from exc
    return builder.set_data(content).encrypt(Encoding.DER, [PKCS7Options.Binary])


def secrets_of(plan: ClusterPlan, cluster_file: Path, state: State) -> Iterator[str]:
    """Secrets that this machine knows: passwords that the user gave, and the cluster's private keys.

    Raises:
        ConfigError: One can't be read.
    """
    yield from (host.ssh.sudo_password for host in plan.hosts if host.ssh.sudo_password)
    for auth in read_logins(plan.config.runtime.registries, cluster_file.resolve().parent).values():
        yield auth
        yield base64.b64decode(auth).decode().partition(":")[2]
    yield from filter(None, [read_store(plan, cluster_file.resolve().parent).get("secret_key")])
    for path in (cluster_file, state.proxy, state.registry_logins):
        text = _read(path)
        yield from _URL_LOGIN.findall(text)
        for encoded in re.findall(r'"auth": "([A-Za-z0-9+/=]+)"', text):
            yield encoded
            yield _decoded(encoded).partition(":")[2]
    for path in state.pki.glob("**/*.key") if state.pki.is_dir() else ():
        yield from (line for line in _read(path).splitlines() if len(line) > _KEY_LINE)


def _files(found: Support, cluster_file: Path, state: State, redactor: Redactor) -> Iterator[tuple[str, str]]:
    """Names and contents, look.json first: who reads only that need not unpack the rest."""
    seen = found.look
    yield LOOK, json.dumps(redactor.document(kept.document_of(found.plan, seen)))
    readme = _README.format(version=k8sbootstrap.__version__, time=moment(seen.at))
    yield "README.txt", readme
    yield "doctor.json", json.dumps(redactor.document(as_document(found.diagnosis)), indent=2)
    lines = (line.plain for line in text(found.diagnosis, seen.at, every=True))
    yield "doctor.txt", redactor.text("\n".join(lines)) + "\n"
    yield "cluster.yaml", redactor.text(_read(cluster_file))
    for name, reason in seen.lost.items():
        yield f"hosts/{name}/error.txt", redactor.text(printable(reason)) + "\n"
    for host in found.plan.hosts:
        if host.name in seen.hosts:
            answers = seen.hosts[host.name].answer.run
            for file in host_commands(found.plan, host):
                yield f"hosts/{host.name}/{file}", _printed(answers[file], file, redactor)
    for file in api_commands():
        if file in seen.api:
            yield f"api/{file}", _printed(seen.api[file], file, redactor)
    if seen.api_error:
        yield "api/error.txt", redactor.text(printable(seen.api_error)) + "\n"
    yield from _runs(state, redactor)


def _printed(answer: RunAnswer, file: str, redactor: Redactor) -> str:
    """What a command printed; JSON is looked through value by value."""
    if file.endswith(".json"):
        try:
            return json.dumps(redactor.document(from_json(answer.stdout)), indent=1)
        except (ValueError, RecursionError):
            pass
    failed = f"(exit code {answer.rc})\n" if answer.rc else ""
    return redactor.text(printable(answer.stdout + answer.stderr + failed))


def _runs(state: State, redactor: Redactor) -> Iterator[tuple[str, str]]:
    if not state.runs.is_dir():
        return
    runs = sorted(path for path in state.runs.iterdir() if RUN_ID.fullmatch(path.name))
    for run in runs[-_RUNS:]:
        for name in _RUN_FILES:
            if (run / name).is_file():
                yield f"runs/{run.name}/{name}", _end(run / name, redactor)


def _end(path: Path, redactor: Redactor) -> str:
    """The end of a file; of one with a JSON document in each line each value is looked through."""
    text = _read(path)[-_RUN_BYTES:]
    if path.suffix != ".jsonl":
        return redactor.text(text)
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.dumps(redactor.document(from_json(line))))
        except (ValueError, RecursionError):  # the first one may be cut
            lines.append(redactor.text(line))
    return "\n".join(lines) + "\n"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _decoded(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def default_name(plan: ClusterPlan) -> str:
    """The file that an archive is written to where none is named."""
    return f"support-{plan.config.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz"

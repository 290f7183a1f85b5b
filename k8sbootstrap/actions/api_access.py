"""Finds a way from this machine to the cluster's API: any master that answers, directly or through SSH."""

import http.client
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.errors import HostError
from k8sbootstrap.formats.text import shortened
from k8sbootstrap.inventory.connection import tunnel_command
from k8sbootstrap.pki.operator_kubeconfig import ca_of, with_server
from k8sbootstrap.plan.build import bracketed
from k8sbootstrap.plan.models import ClusterPlan

SECONDS = 3.0
"""Seconds that an API server may take to answer."""
SECONDS_TO_LOG_IN = 20.0
"""That SSH may take until the way is open."""
SERVER_NAME = "kubernetes"
"""A name that the certificate of every API server has."""
_WORST = 500


@dataclass(frozen=True)
class Way:
    """A way to the API."""

    kubeconfig: str
    """The administrator's kubeconfig, with a server that answers."""
    host: str
    """The master behind it; empty for an endpoint of the user's and for a virtual IP."""
    through_ssh: bool = False


def living(plan: ClusterPlan, kubeconfig: str) -> Way | None:
    """The first API server that answers this machine.

    That is the endpoint of cluster.yaml, or else the virtual IP or any master.

    Args:
        plan: The cluster.
        kubeconfig: The administrator's.

    Returns:
        The way to it; None where none answers, for example because a firewall lets nobody to the port.
    """
    candidates = [(plan.api_endpoint, "")]
    api = plan.config.api
    if api.endpoint is None:
        candidates = candidates if api.virtual_ip else []
        candidates += [(f"{bracketed(host.address)}:{api.port}", host.name) for host in plan.masters]
    ca = ca_of(kubeconfig)
    with ThreadPoolExecutor(len(candidates)) as threads:
        answers = threads.map(lambda candidate: _answers(candidate[0], ca), candidates)
        for (server, host), well in zip(candidates, answers, strict=True):
            if well:
                return Way(with_server(kubeconfig, server), host)
    return None


@contextmanager
def through_ssh(plan: ClusterPlan, kubeconfig: str) -> Iterator[Way]:
    """Reach the API through SSH to a master, while the block runs.

    Args:
        plan: The cluster.
        kubeconfig: The administrator's.

    Raises:
        HostError: No master lets us through to an API server that is ready; says why not, for each.
    """
    reasons = []
    for host in plan.masters:
        port = _free_port()
        tunnel = subprocess.Popen(
            tunnel_command(host, port, plan.local_api),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for kubectl alone
        )
        try:
            reason = _wait(tunnel, f"127.0.0.1:{port}", ca_of(kubeconfig))
            if not reason:
                yield Way(
                    with_server(kubeconfig, f"127.0.0.1:{port}", SERVER_NAME), host.name, through_ssh=True
                )
                return
            reasons.append(f"{host.name}: {reason}")
        finally:
            tunnel.kill()
            tunnel.wait()
    raise HostError(
        f"no master's API could be reached, neither directly nor through SSH: {'; '.join(reasons)}",
        hint="k8sbootstrap status shows which hosts answer.",
    )


def run_kubectl(way: Way, arguments: Sequence[str]) -> int:
    """Run this machine's kubectl.

    Args:
        way: How the API is reached.
        arguments: kubectl's.

    Returns:
        Its exit code.

    Raises:
        HostError: There is no kubectl.
    """
    program = shutil.which("kubectl")
    if program is None:
        raise HostError(
            "kubectl is not installed on this machine",
            hint="Install it (https://kubernetes.io/docs/tasks/tools), or run it on a master: kubectl "
            "--kubeconfig /etc/kubernetes/admin.conf",
        )
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-kubectl-") as folder:
        file = Path(folder) / "kubeconfig"
        file.touch(mode=0o600)
        file.write_text(way.kubeconfig, encoding="utf-8")
        return subprocess.run([program, f"--kubeconfig={file}", *arguments], check=False).returncode


def _wait(tunnel: subprocess.Popen[bytes], server: str, ca: bytes) -> str:
    """Wait until an API server answers at the end of a tunnel; else why that does not happen."""
    deadline = time.monotonic() + SECONDS_TO_LOG_IN
    while time.monotonic() < deadline:
        if tunnel.poll() is not None:
            assert tunnel.stderr  # noqa: S101 - it was asked for
            said = tunnel.stderr.read(_WORST).decode(errors="replace").strip().splitlines()
            return shortened(said[-1], 200) if said else "ssh ended without a word"
        if _answers(server, ca, SERVER_NAME):
            return ""
        time.sleep(0.1)
    return "its API server is not ready, or SSH there does not let connections through (AllowTcpForwarding)"


def _answers(server: str, ca: bytes, name: str = "") -> bool:
    """Whether a ready API server of this cluster answers."""
    host, _, port = server.rpartition(":")
    context = ssl.create_default_context(cadata=ca.decode())
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=name or host.strip("[]")) as link,
        ):
            link.sendall(b"GET /readyz HTTP/1.1\r\nHost: kubernetes\r\nConnection: close\r\n\r\n")
            answer = http.client.HTTPResponse(link)
            answer.begin()
    except (OSError, ValueError, http.client.HTTPException):
        return False
    # without anonymous access it answers 401: it is there all the same
    return answer.status < http.client.INTERNAL_SERVER_ERROR


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port

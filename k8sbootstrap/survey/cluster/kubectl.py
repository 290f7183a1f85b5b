"""Runs kubectl on a master that answers: the controller itself needs no route to the API."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from k8sbootstrap.errors import HostError, VerifyError
from k8sbootstrap.hosts.answers import Request, RunAnswer, RunCommand
from k8sbootstrap.hosts.ask import shown
from k8sbootstrap.hosts.pool import Hosts
from k8sbootstrap.survey.cluster.objects import parse_objects

ADMIN_KUBECONFIG = "/etc/kubernetes/admin.conf"
_KUBECTL = ("/usr/local/bin/kubectl", f"--kubeconfig={ADMIN_KUBECONFIG}", "--request-timeout=10s")
_UNAVAILABLE = (
    "unable to connect to the server",
    "connection refused",
    "was refused",
    "connection reset",
    "i/o timeout",
    "tls handshake timeout",
    "context deadline exceeded",
    "request timed out",
    "service unavailable",
    "the server is currently unable",
    "unexpected eof",
    "no route to host",
    "client.timeout exceeded",
)
"""Parts of kubectl's messages, in lower case, that mean that the API server is gone."""


class ApiUnavailableError(VerifyError):
    """No master's API server answered."""


class KubectlError(VerifyError):
    """The API answered, and refused what was asked."""


def argv(*arguments: str) -> tuple[str, ...]:
    """A kubectl command line as it is on masters."""
    return (*_KUBECTL, *arguments)


def unavailable(answer: RunAnswer) -> bool:
    """Whether kubectl failed because its API server does not answer."""
    text = answer.stderr.lower()
    return answer.rc != 0 and any(words in text for words in _UNAVAILABLE)


class Kubectl:
    """Runs kubectl on masters in order, going to the next one when an API server does not answer.

    Args:
        hosts: Connections to the hosts.
        masters: Names of the masters to try, the likeliest first.
    """

    def __init__(self, hosts: Hosts, masters: Sequence[str]) -> None:
        self._hosts = hosts
        self._masters = list(masters)

    def prefer(self, masters: Sequence[str]) -> None:
        """Try these first from now on."""
        self._masters.sort(key=lambda name: name not in masters)

    def shell(self, script: str, *, stdin: str = "", timeout: float = 30) -> RunAnswer:
        """Run a shell script in which ``kubectl`` is kubectl with the admin kubeconfig.

        Args:
            script: The script; it must be safe to run twice, since another master may repeat it.
            stdin: What it reads.
            timeout: Seconds until it is given up.

        Returns:
            How it ended on the first master whose API server was there.

        Raises:
            ApiUnavailableError: when no master's was; the message has each one's reason.
        """
        text = f'kubectl() {{ {shlex.join(_KUBECTL)} "$@"; }}\n{script}'
        reasons = []
        for master in tuple(self._masters):
            try:
                answer = self._hosts.run(
                    master, f"sh -c {shlex.quote(text)}", stdin=stdin.encode(), timeout=timeout
                )
            except HostError as error:
                reasons.append(str(error))
                continue
            if not unavailable(answer):
                self.prefer([master])
                return answer
            reasons.append(f"{master}: {answer.said}")
        raise _no_api(reasons)

    def text(self, *arguments: str, stdin: str = "", timeout: float = 30) -> str:
        """Run one kubectl command and return what it printed.

        Raises:
            ApiUnavailableError: when no API server answers.
            KubectlError: when the API refuses, with kubectl's own words.
        """
        answer = self.shell(f"kubectl {shlex.join(arguments)}", stdin=stdin, timeout=timeout)
        if answer.rc != 0:
            raise KubectlError(f"kubectl {' '.join(arguments[:3])}: {answer.said}")
        return answer.stdout

    def json(self, *arguments: str, stdin: str = "", timeout: float = 30) -> Any:
        """The same with ``-o json``, parsed."""
        text = self.text(*arguments, "-o", "json", stdin=stdin, timeout=timeout)
        try:
            return parse_objects(text)
        except ValueError as exc:
            raise KubectlError(
                f"kubectl {' '.join(arguments[:3])}: what it printed can't be used: {shown(str(exc), 200)}"
            ) from exc

    def batch(self, commands: Mapping[str, RunCommand], *, timeout: float = 120) -> dict[str, RunAnswer]:
        """Run many kubectl commands at once on one master.

        Raises:
            ApiUnavailableError: when no API server answers any of them.
        """
        reasons = []
        for master in tuple(self._masters):
            try:
                answers = self._hosts.ask(master, Request(run=commands), timeout=timeout).run
            except HostError as error:
                reasons.append(str(error))
                continue
            if not answers or not all(unavailable(answer) for answer in answers.values()):
                return dict(answers)
            reasons.append(f"{master}: {next(iter(answers.values())).said}")
        raise _no_api(reasons)


def _no_api(reasons: Sequence[str]) -> ApiUnavailableError:
    return ApiUnavailableError(f"no API server answered ({'; '.join(reasons)})")

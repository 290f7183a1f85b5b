"""Real hosts for the end-to-end tests, started, driven and taken down through the command line itself."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import testinfra
import yaml

from k8sbootstrap.lab import model, nspawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "k8sbootstrap"]
REPORT = Path(os.environ.get("E2E_REPORT", REPOSITORY / "e2e-report"))


@dataclass
class Lab:
    """A folder with a cluster.yaml and the lab hosts that it names."""

    directory: Path
    options: tuple[str, ...]

    @property
    def file(self) -> Path:
        """cluster.yaml."""
        return self.directory / "cluster.yaml"

    @property
    def state(self) -> Path:
        """The cluster's state directory."""
        return self.directory / ".k8sbootstrap" / self.config["name"]

    @property
    def config(self) -> dict[str, Any]:
        """What cluster.yaml says."""
        return yaml.safe_load(self.file.read_text())

    @property
    def hosts(self) -> list[str]:
        """Names of all hosts."""
        return [host["name"] for host in self.config["hosts"]]

    def address(self, name: str) -> str:
        """Address of one host."""
        return next(host["address"] for host in self.config["hosts"] if host["name"] == name)

    def k(
        self,
        *arguments: str,
        code: int = 0,
        timeout: float = 900,
        file: Path | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run k8sbootstrap here and assert its exit code."""
        command = [*COMMAND, "--no-color", *(["--file", str(file)] if file else []), *arguments]
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=dict(os.environ, **environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        said = f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, said
        assert "Traceback" not in done.stderr, said
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start k8sbootstrap here, in a process group of its own, and do not wait."""
        return subprocess.Popen(
            [*COMMAND, "--no-color", *arguments],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def sh(self, name: str, script: str, code: int | None = 0) -> str:
        """Run a shell script as root on a host and return what it printed.

        As ``lab exec`` does, without the time that Python takes to start: tests do this a thousand times.
        """
        known = model.require(self.file)
        script_there = ["sh", "-c", script]
        program = [*COMMAND, "lab", "exec", name, "--", *script_there]
        if known.provider == "nspawn" and nspawn.leader(known, known.host(name)) is not None:
            program = nspawn.entering(known, known.host(name), script_there)
        done = subprocess.run(
            program,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        ended = done.returncode if done.returncode >= 0 else 128 - done.returncode
        assert code is None or ended == code, f"{name}: {script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def kubectl(self, arguments: str, on: str = "master1") -> str:
        """Run kubectl on a master."""
        return self.sh(on, f"kubectl --kubeconfig /etc/kubernetes/admin.conf {arguments}")

    def etcd_leader(self) -> str:
        """Name of the host whose member leads etcd."""
        said = json.loads(self.k("status", "-o", "json").stdout)
        return next(member["host"] for member in said["etcd"] if member["leader"])

    def infra(self, name: str) -> testinfra.host.Host:
        """A testinfra host over the same SSH that the product uses."""
        key = self.directory / self.config["ssh"]["key"]
        known = shlex.quote(f'UserKnownHostsFile="{self.state / "known_hosts"}"')
        options = f"-o {known} -o StrictHostKeyChecking=yes"
        return testinfra.get_host(
            f"ssh://{self.config['ssh']['user']}@{self.address(name)}",
            sudo=True,
            ssh_identity_file=str(key),
            ssh_extra_args=options,
        )

    def variant(self, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
        """A changed copy of cluster.yaml beside the original."""
        config = self.config
        change(config)
        path = self.directory / name
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    def last_run(self) -> Path:
        """Folder of the latest run's record."""
        return max((self.state / "runs").iterdir(), key=lambda path: path.stat().st_mtime)

    def collect(self, name: str) -> None:
        """Keep journals and the latest run record, and print what matters of them."""
        target = REPORT / name
        target.mkdir(parents=True, exist_ok=True)
        for host in self.hosts:
            journal = self.sh(host, "journalctl --no-pager -b -o short-iso | tail -n 3000", code=None)
            (target / f"{host}.journal").write_text(journal)
            wanted = ("error", "fail", "E1")
            lines = [line for line in journal.splitlines() if any(word in line for word in wanted)]
            print(f"--- {host}: last lines of its journal that speak of errors", *lines[-15:], sep="\n")  # noqa: T201
        if (self.state / "runs").is_dir():
            run = self.last_run()
            shutil.copytree(run, target / "run", dirs_exist_ok=True, symlinks=True)
            log = run / "ansible.log"
            if log.exists():
                print(f"--- {run.name}: end of ansible.log", log.read_text()[-4000:], sep="\n")  # noqa: T201


def make_lab(directory: Path, *options: str) -> Iterator[Lab]:
    """Start a lab in a folder, hand it out, and take it down whatever happens."""
    lab = Lab(directory, options)
    try:
        lab.k("lab", "up", *options, timeout=3600)
        yield lab
    finally:
        lab.k("lab", "down")


def playbook(
    lab: Lab, name: str, *options: str, file: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a playbook with plain ansible-playbook on the inventory that is rendered from a file."""
    inventory = lab.directory / "inventory"
    lab.k("render", "--output", str(inventory), file=file)
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), *options]
    command.append(str(REPOSITORY / "playbooks" / name))
    return subprocess.run(
        command,
        cwd=lab.directory,
        env=dict(os.environ, ANSIBLE_ROLES_PATH=str(REPOSITORY / "roles"), ANSIBLE_NOCOLOR="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it did not within the time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.5)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and its whole group at once, as a crash would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def summary(lab: Lab) -> dict[str, Any]:
    """The summary of the latest run."""
    return json.loads((lab.last_run() / "summary.json").read_text())

"""ansible-playbook as a child process: its settings, its events, and how it is stopped."""

import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from k8sbootstrap.inventory.connection import CIPHERS, sudo_password_variable
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.resources import data_dir
from k8sbootstrap.run.interrupts import interrupts_held
from k8sbootstrap.run.phase_gate import Gate
from k8sbootstrap.run.playbook import plugin_settings
from k8sbootstrap.run.processes import stop
from k8sbootstrap.run.text_log import text_log

STOP_SECONDS = 5.0
"""How long Ansible may take to stop after an interrupt before it is killed."""
_TICK = 0.2
"""Longest time between two calls of ``on_tick``, in seconds."""
_LAUNCH = (sys.executable, "-P", "-m", "k8sbootstrap.run.launch")
_SSH_ARGS = (
    "-o ControlMaster=auto -o ControlPersist=60s"  # one connection per host for the whole run
    " -o ConnectTimeout=15"
    " -o ServerAliveInterval=5 -o ServerAliveCountMax=3"  # a host that dies is noticed within 15 s
    f" -o Ciphers={CIPHERS}"
)
_MAX_SOCKET_DIR = 60
"""Characters that a directory may have so that sockets in it keep below the kernel's limit of 107."""


def playbook_path(name: str) -> Path:
    """Where the playbook ``name`` (such as ``site.yml``) is."""
    return data_dir() / "playbooks" / name


def forks(hosts: int) -> int:
    """How many hosts Ansible works on at once."""
    return max(5, min(50, hosts))


def settings(hosts: int) -> dict[str, str]:
    """Ansible's settings for a run on that many hosts, as the environment variables it reads them from."""
    return {
        "ANSIBLE_FORKS": str(forks(hosts)),
        "ANSIBLE_GATHERING": "explicit",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_INJECT_FACT_VARS": "False",  # what hosts say is never a variable
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_REMOTE_TEMP": "/tmp",  # noqa: S108 - Ansible makes a private directory in it; no ~/.ansible stays
        "ANSIBLE_ROLES_PATH": str(data_dir() / "roles"),
        "ANSIBLE_SSH_ARGS": _SSH_ARGS,
        "ANSIBLE_SSH_RETRIES": "1",
        "ANSIBLE_TIMEOUT": "60",  # for sudo too, which is slow on a slow or busy host
    }


def command_line(inventory: Path, hosts: Sequence[HostPlan]) -> str:
    """The shell command that does with ``inventory`` what ``up`` does, without this program."""
    program = Path(sys.executable).with_name("ansible-playbook")
    words = [str(program) if program.exists() else "ansible-playbook", "-i", str(inventory)]
    variables = [f"{name}={shlex.quote(value)}" for name, value in settings(len(hosts)).items()]
    return " ".join([*variables, shlex.join([*words, str(playbook_path("site.yml"))])])


def run_playbook(
    playbook: Path,
    *,
    hosts: Sequence[HostPlan],
    inventory: Path,
    log: Path,
    on_line: Callable[[str], None],
    on_tick: Callable[[], None],
    gate: Gate | None = None,
    check: bool = False,
) -> int:
    """Run ``playbook`` to its end.

    Args:
        playbook: The playbook's file.
        hosts: All hosts of the cluster: their sudo passwords are handed over in the environment.
        inventory: The inventory directory.
        log: Gets Ansible's own output as printable text, appended.
        on_line: Called with every line of events.
        on_tick: Called several times a second.
        gate: What Ansible waits at before each phase; it never waits, if None.
        check: Change nothing, only say what would be changed.

    Returns:
        Ansible's exit code; negative when a signal killed it.

    Raises:
        BaseException: What ``on_line``, ``on_tick`` or a signal handler raised, KeyboardInterrupt among them.
            Ansible has been stopped by then.
    """
    reader, writer = os.pipe()
    options = ["--check"] if check else []
    scratch = log.parent / "tmp"  # what Ansible renders may hold secrets: it stays in the state directory
    with (
        os.fdopen(reader, "rb", buffering=0),
        text_log(log) as output,
        _private_dir() as private,
        interrupts_held() as release,
    ):
        try:
            process = subprocess.Popen(
                [*_LAUNCH, str(os.getpid()), "playbook", *options, "-i", str(inventory), str(playbook)],
                env=_environment(hosts, private, writer)
                | {"ANSIBLE_LOCAL_TEMP": str(scratch)}
                | (gate.environment if gate else {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[writer, gate.reader] if gate else [writer],
                start_new_session=True,
            )
        finally:
            os.close(writer)
            if gate:
                gate.handed_over()
        try:
            release()
            _pump(reader, process, on_line, on_tick)
            return process.wait()
        except BaseException:
            stop(process, signal.SIGINT, STOP_SECONDS)
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _environment(hosts: Sequence[HostPlan], private: Path, events_fd: int) -> dict[str, str]:
    """What Ansible sees: its settings come from here alone, not from files or variables of the user."""
    config = private / "ansible.cfg"
    config.touch(mode=0o600)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    passwords = {
        sudo_password_variable(host.name): host.ssh.sudo_password
        for host in hosts
        if host.ssh.sudo_password is not None
    }
    return (
        inherited
        | settings(len(hosts))
        | plugin_settings()
        | passwords
        | {
            "ANSIBLE_CONFIG": str(config),
            "ANSIBLE_HOME": str(private),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(private),
            "K8SBOOTSTRAP_EVENTS_FD": str(events_fd),
            "LC_ALL": "C.UTF-8",  # Ansible refuses to start in a locale without UTF-8
            "PYTHONUNBUFFERED": "1",  # the log is read while it grows
        }
    )


@contextmanager
def _private_dir() -> Iterator[Path]:
    """A directory for SSH's sockets, of a short name; the connections end with it."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    usable = runtime.is_absolute() and os.access(runtime, os.W_OK) and len(str(runtime)) < _MAX_SOCKET_DIR
    base = runtime if usable else Path("/tmp")  # noqa: S108 - TMPDIR may be too long for sockets
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-", dir=base, ignore_cleanup_errors=True) as name:
        try:
            yield Path(name)
        finally:
            for socket in (path for path in Path(name).iterdir() if path.is_socket()):
                with suppress(subprocess.TimeoutExpired):  # it ends by itself a minute later
                    subprocess.run(
                        ["ssh", "-F", "none", "-O", "exit", "-o", f"ControlPath={socket}", "any"],
                        check=False,
                        capture_output=True,
                        timeout=STOP_SECONDS,
                    )


def _pump(
    reader: int, process: subprocess.Popen[bytes], on_line: Callable[[str], None], on_tick: Callable[[], None]
) -> None:
    pending = b""
    while True:
        if select.select([reader], [], [], _TICK)[0]:
            chunk = os.read(reader, 65536)
            if not chunk:
                break
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                on_line(line.decode())
        elif process.poll() is not None:
            break
        on_tick()

"""Real playbooks on this machine through the runner: what comes out, and what must not."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.run import ansible
from k8sbootstrap.run.events import (
    Event,
    Failure,
    PhaseDue,
    PlayStarted,
    Stats,
    TaskResult,
    TaskRetried,
    parse,
)
from k8sbootstrap.run.processes import descendants

from .conftest import WritePlaybook

EVERYTHING = """
- name: Anything
  hosts: all
  gather_facts: false
  tasks:
    - name: Reach
      ansible.builtin.command: "true"
      changed_when: inventory_hostname == 'master1'
    - name: Print settings
      ansible.builtin.shell: env >&2; exit 1
      when: inventory_hostname == 'master1'
      ignore_errors: true
    - name: Hidden
      ansible.builtin.command: sh -c "echo hush-hush >&2; exit 2"
      no_log: true
      ignore_errors: true
    - name: Hidden items
      ansible.builtin.command: sh -c "echo hush-hush {{ item }}; exit 2"
      loop: [hush-hush]
      no_log: true
      ignore_errors: true
    - name: Loop
      ansible.builtin.command: sh -c "exit {{ item }}"
      loop: [0, 4]
      ignore_errors: true
    - name: Cause
      ansible.builtin.file:
        path: /nonexistent/x/y
        state: touch
      ignore_errors: true
    - name: Wait
      ansible.builtin.command: "false"
      register: __wait
      until: __wait is success
      retries: 1
      delay: 0
      ignore_errors: true
    - name: Password
      ansible.builtin.assert:
        that: lookup('ansible.builtin.env', 'K8SBOOTSTRAP_SUDO_PASSWORD_WORKER_1') == 's3same'
    - name: Unexpected
      broken: {token: "{{ 'hush' ~ '-hush' }}"}
      ignore_errors: true
    - name: Token
      kube_bootstrap_token: {state: present}
      ignore_errors: true
    - name: Control characters
      ansible.builtin.command: printf 'clear \\033[2J \\302\\233 \\342\\200\\256'
      failed_when: true
      ignore_errors: true
    - name: Break
      ansible.builtin.command: sh -c "echo out; echo because >&2; exit 3"
      when: inventory_hostname == 'worker-1'
"""
INTERRUPTIBLE = """
- name: Long
  hosts: master1
  gather_facts: false
  tasks:
    - name: Sleep
      ansible.builtin.command: sleep 300
"""


BROKEN = """
from ansible.module_utils.k8sbootstrap.module import Module, one_line


@one_line
def main():
    module = Module(argument_spec={"token": {"type": "str", "no_log": True}})
    {}["no key " + module.params["token"]]


main()
"""
"""A module with a fault, which has a secret in its own words."""


def run(
    playbook: Path,
    hosts: list[HostPlan],
    inventory: Path,
    on_line: Callable[[str], None],
    on_tick: Callable[[], None] = lambda: None,
) -> int:
    log = inventory.parent / "ansible.log"
    return ansible.run_playbook(
        playbook, hosts=hosts, inventory=inventory, log=log, on_line=on_line, on_tick=on_tick
    )


def asleep(process: int) -> list[psutil.Process]:
    """Ansible that ``process`` started, and its descendants, if the playbook's sleep is among them."""
    for child in descendants(process):
        family = [child, *descendants(child.pid)]
        if child.ppid() == process and ["sleep", "300"] in map(_words, family):
            return family
    return []


def living(family: list[psutil.Process]) -> list[int]:
    return [process.pid for process in family if process.is_running() and _words(process)]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.05)


@dataclass(frozen=True)
class Outcome:
    code: int
    lines: list[str]
    log: str
    state: Path

    @property
    def events(self) -> list[Event | None]:
        return [parse(line) for line in self.lines]

    def result(self, task: str, host: str) -> TaskResult:
        return next(e for e in self.events if isinstance(e, TaskResult) and (e.task, e.host) == (task, host))

    def failure(self, task: str, host: str) -> Failure:
        failure = self.result(task, host).failure
        assert failure is not None
        return failure


@pytest.fixture
def everything(
    hosts: list[HostPlan], inventory: Path, playbook: WritePlaybook, monkeypatch: pytest.MonkeyPatch
) -> Outcome:
    monkeypatch.setenv("ANSIBLE_FORKS", "not a number")
    folder = playbook("etcd.yml", EVERYTHING).parent
    (folder / "library").mkdir()
    (folder / "library/broken.py").write_text(BROKEN)
    lines: list[str] = []
    site = playbook("site.yml", "- ansible.builtin.import_playbook: etcd.yml")
    code = run(site, hosts, inventory, lines.append)
    return Outcome(code, lines, (inventory.parent / "ansible.log").read_text(), inventory.parent)


def test_a_real_run(
    everything: Outcome,
) -> None:  # one run for all that can be seen in it: each takes seconds
    check_results(everything)
    check_failures(everything)
    check_secrets(everything)
    check_log(everything)
    check_settings(everything)


def check_results(done: Outcome) -> None:
    assert done.code == 4, done.log
    assert None not in done.events
    play = next(e for e in done.events if isinstance(e, PlayStarted))
    assert (play.phase, play.hosts) == ("etcd", ("master1", "worker-1", "gone"))
    reached = done.result("Reach", "master1")
    assert (reached.status, reached.phase, reached.action) == ("changed", "etcd", "ansible.builtin.command")
    assert reached.seconds > 0
    assert done.result("Reach", "worker-1").status == "ok"
    assert done.result("Reach", "gone").status == "unreachable"
    assert done.result("Break", "master1").status == "skipped"
    retry = next(e for e in done.events if isinstance(e, TaskRetried))
    assert (retry.task, retry.attempt) == ("Wait", 1)
    stats = done.events[-1]
    assert isinstance(stats, Stats)
    assert (stats.hosts["gone"].unreachable, stats.hosts["worker-1"].failures) == (1, 1)
    assert stats.hosts["master1"].failures == 0


def check_failures(done: Outcome) -> None:
    assert "port 1: Connection refused" in done.failure("Reach", "gone").msg
    assert not done.result("Break", "worker-1").ignored
    broken = done.failure("Break", "worker-1")
    assert (broken.rc, broken.stdout, broken.stderr) == (3, "out", "because")
    assert broken.cmd == "sh -c 'echo out; echo because >&2; exit 3'"
    assert done.result("Loop", "master1").ignored
    loop = done.failure("Loop", "master1")
    assert (loop.item, loop.rc) == ("4", 4)
    assert "No such file or directory" in done.failure("Cause", "master1").msg


def check_secrets(done: Outcome) -> None:
    assert done.failure("Hidden", "master1") == Failure(hidden=True)
    assert done.failure("Hidden items", "master1") == Failure(hidden=True)
    assert "hush-hush" not in "".join(done.lines) + done.log
    broken = done.failure("Unexpected", "master1")
    assert re.fullmatch(
        r"KeyError: 'no key \*+' \(broken.py, line \d+\); this is a bug in k8sbootstrap: please report it",
        broken.msg,
    )
    assert not broken.hidden
    token = done.failure("Token", "master1")  # there is no cluster: that is said, and not hidden
    assert token.msg.startswith("kubectl get: ")
    assert not re.search(r"[a-z0-9]{6}\.[a-z0-9]{16}", "".join(done.lines))


def check_log(done: Outcome) -> None:
    assert done.failure("Control characters", "master1").stdout == "clear \x1b[2J \x9b \u202e"
    assert "clear " in done.log
    assert not [char for char in done.log if unicodedata.category(char) in {"Cc", "Cf"} and char != "\n"]


def check_settings(done: Outcome) -> None:
    printed = done.failure("Print settings", "master1").stderr
    seen = dict(line.partition("=")[::2] for line in printed.splitlines())
    assert seen["ANSIBLE_FORKS"] == "5"  # not the user's
    assert not [name for name in seen if name.startswith("K8SBOOTSTRAP_SUDO_PASSWORD_")]  # Ansible's alone
    assert done.result("Password", "master1").status == "ok"
    assert "K8SBOOTSTRAP_GO_FD" not in seen  # without hooks Ansible waits for nothing
    assert not [event for event in done.events if isinstance(event, PhaseDue)]
    assert seen["ANSIBLE_LOCAL_TEMP"].startswith(str(done.state))
    assert not Path(seen["ANSIBLE_LOCAL_TEMP"]).exists()
    private = Path(seen["ANSIBLE_HOME"])
    assert seen["ANSIBLE_CONFIG"] == str(private / "ansible.cfg")
    assert not private.exists()  # removed with the run
    assert len(str(private)) < 80  # sockets in it must fit the kernel's limit


def test_a_playbook_that_cannot_be_parsed(
    hosts: list[HostPlan], inventory: Path, playbook: WritePlaybook
) -> None:
    lines: list[str] = []
    code = run(playbook("site.yml", "- hosts: all\n  tasks: 7\n"), hosts, inventory, lines.append)
    assert code not in {0, 2}
    assert not [line for line in lines if "stats" in line]


def test_interrupt_stops_ansible_and_all_it_started(
    hosts: list[HostPlan], inventory: Path, playbook: WritePlaybook
) -> None:
    family: list[psutil.Process] = []

    def interrupt_once_asleep() -> None:
        family[:] = asleep(os.getpid())
        if family:
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(playbook("site.yml", INTERRUPTIBLE), hosts, inventory, lambda _: None, interrupt_once_asleep)
    wait_until(lambda: not living(family), 2)
    assert time.monotonic() - started < 20
    assert "User interrupted execution" in (inventory.parent / "ansible.log").read_text()


def test_stubborn_ansible_is_killed_with_its_workers(
    hosts: list[HostPlan], inventory: Path, playbook: WritePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ansible, "STOP_SECONDS", 0.3)
    family: list[psutil.Process] = []

    def freeze_then_interrupt() -> None:
        family[:] = asleep(os.getpid())
        if family:
            os.kill(family[0].pid, signal.SIGSTOP)  # Ansible itself: it hears no SIGINT any more
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(playbook("site.yml", INTERRUPTIBLE), hosts, inventory, lambda _: None, freeze_then_interrupt)
    wait_until(lambda: not living(family), 2)


def test_ansible_ends_with_a_killed_parent(
    inventory: Path, playbook: WritePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", tempfile.mkdtemp(dir="/tmp"))
    script = f"""
        from pathlib import Path
        from k8sbootstrap.run import ansible
        ansible.run_playbook(
            Path({str(playbook("site.yml", INTERRUPTIBLE))!r}), hosts=[], inventory=Path({str(inventory)!r}),
            log=Path({str(inventory.parent / "ansible.log")!r}), on_line=print, on_tick=lambda: None,
        )
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.DEVNULL
    ) as parent:
        wait_until(lambda: asleep(parent.pid))
        family = asleep(parent.pid)
        parent.kill()
    wait_until(lambda: not living(family), 5)
    shutil.rmtree(os.environ["XDG_RUNTIME_DIR"])  # a killed run can't tidy up after itself


def test_sockets_go_where_paths_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("x" * 80)))
    (tmp_path / ("x" * 80)).mkdir()
    with ansible._private_dir() as private:
        assert private.parent == Path("/tmp")
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert not private.exists()


@pytest.mark.parametrize(("hosts_count", "expected"), [(1, 5), (12, 12), (80, 50)])
def test_forks(hosts_count: int, expected: int) -> None:
    assert ansible.forks(hosts_count) == expected


def test_command_line_runs_the_same_playbook_with_the_same_settings(
    hosts: list[HostPlan], tmp_path: Path
) -> None:
    line = ansible.command_line(tmp_path / "my inventory", hosts)
    assert line.endswith(f"-i '{tmp_path}/my inventory' {ansible.playbook_path('site.yml')}")
    assert "ANSIBLE_ROLES_PATH=" in line
    assert "s3same" not in line

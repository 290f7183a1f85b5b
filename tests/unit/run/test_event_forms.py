"""The lines of events.jsonl, which scripts read: those of this program and those of Ansible."""

import json
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import get_args

from k8sbootstrap.plan.changes import Change
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.run import ansible, events
from k8sbootstrap.run.phase_gate import Gate
from tests.json_form import form_of

from .conftest import WritePlaybook

GOLDEN = Path(__file__).parent / "golden"
Compare = Callable[[Path, str], None]

CHANGE = Change(text="x", kind="unit", action="restart", name="x", causes=("drift",), why=("/etc/x",))
HOOK = {"time": 1.5, "command": ("./x", "y"), "when": "before", "phase": "etcd"}
TASK = {"time": 1.5, "phase": "etcd", "task": "Install", "role": "etcd", "action": "component"}
STEP = {"time": 1.5, "step": "pki", "title": "Certificates"}
WRITTEN: tuple[events.Event, ...] = (
    events.RunStarted(time=1.5, command="k8sbootstrap up", program="0.1.0"),
    events.StepStarted(**STEP),
    events.StepNote(**STEP, text="3 issued"),
    *(events.StepFinished(**STEP, outcome=outcome, seconds=1.5) for outcome in ("ok", "failed")),
    events.PlaybookStarted(time=1.5, playbook="site"),
    events.PhaseDue(time=1.5, phase="etcd", hosts=("a",)),
    events.PlayStarted(time=1.5, phase="etcd", play="[etcd] Install etcd", hosts=("a",)),
    events.TaskStarted(**TASK, handler=False),
    events.TaskRetried(**TASK, host="a", attempt=1, retries=2),
    *(
        events.TaskResult(**TASK, host="a", status=status, seconds=1.5, changes=(CHANGE,), warnings=("w",))
        for status in get_args(events.Status)
    ),
    events.TaskResult(
        **TASK,
        host="a",
        status="failed",
        seconds=1.5,
        diff=[{"prepared": "+x"}],
        failure=events.Failure(rc=1),
    ),
    events.TaskResult(**TASK, host="a", status="failed", seconds=1.5, failure=events.Failure()),
    events.Stats(time=1.5, hosts={"a": events.HostStats(ok=1)}),
    *(events.HookStarted(**HOOK | {"when": when}) for when in get_args(events.When)),
    events.HookFinished(**HOOK, rc=1, seconds=1.5, failure="ended with code 1", stderr=("no",)),
    events.HookFinished(**HOOK, rc=None, seconds=1.5),
)
"""Every kind of event, with every kind of value in each of its fields."""

PLAY = """
- name: Anything
  hosts: all
  gather_facts: false
  tasks:
    - name: Change
      reporting:
      when: inventory_hostname == 'master1'
    - name: Hidden
      ansible.builtin.command: "false"
      no_log: true
      ignore_errors: true
    - name: Wait
      ansible.builtin.command: "false"
      register: __wait
      until: __wait is success
      retries: 1
      delay: 0
      when: inventory_hostname == 'master1'
    - name: Fine
      ansible.builtin.command: "true"
      changed_when: false
"""
MODULE = """
from ansible.module_utils.basic import AnsibleModule

change = {"text": "x", "kind": "file", "action": "add", "name": "/x", "causes": ["new"], "why": []}
AnsibleModule(argument_spec={}).exit_json(
    changed=True, changes=[change, "words"], diff=[{"name": "/x", "prepared": "+x"}], warnings=["careful"]
)
"""


def forms(lines: Iterable[str]) -> str:
    """The form of every kind of line."""
    by_kind: dict[str, list[object]] = {}
    for line in lines:
        document = json.loads(line)
        by_kind.setdefault(document.pop("kind"), []).append(document)
    return "".join(f"{kind}: {form_of(documents)}" for kind, documents in sorted(by_kind.items()))


def test_lines_of_this_program_keep_their_form(golden: Compare) -> None:
    assert {type(event) for event in WRITTEN} == set(get_args(events.Event))
    golden(GOLDEN / "events-written.txt", forms(map(events.encode, WRITTEN)))


def test_lines_of_ansible_keep_their_form(
    hosts: list[HostPlan], inventory: Path, playbook: WritePlaybook, golden: Compare
) -> None:
    folder = playbook("etcd.yml", PLAY).parent
    (folder / "library").mkdir()
    (folder / "library/reporting.py").write_text(MODULE)
    lines: list[str] = []
    with closing(Gate()) as gate:
        gate.open()
        ansible.run_playbook(
            playbook("site.yml", "- ansible.builtin.import_playbook: etcd.yml"),
            hosts=hosts,
            inventory=inventory,
            log=inventory.parent / "ansible.log",
            on_line=lines.append,
            on_tick=lambda: None,
            gate=gate,
        )
    golden(GOLDEN / "events-of-ansible.txt", forms(lines))

"""``certs rotate-ca``: replaces the CAs and the key of service accounts, as the list of its steps."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from k8sbootstrap.actions.ask_hosts import masters
from k8sbootstrap.actions.changing import changing
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.install import install, is_to_do, verify
from k8sbootstrap.actions.observe import compare_hosts, look, take_authorities
from k8sbootstrap.actions.prepare import PREPARE
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.actions.upgrade import require_same_release
from k8sbootstrap.errors import HostError, K8sBootstrapError, PreflightError, VerifyError
from k8sbootstrap.formats.text import count
from k8sbootstrap.host_code import program
from k8sbootstrap.hosts.answers import Request
from k8sbootstrap.hosts.ask import Question, ask, shown
from k8sbootstrap.hosts.pool import Hosts
from k8sbootstrap.pki import rotation, table, x509
from k8sbootstrap.pki.rotation import STAGES, Stage
from k8sbootstrap.pki.store import Store
from k8sbootstrap.pki.users import issued_users
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary
from k8sbootstrap.state import State
from k8sbootstrap.survey import todo_text
from k8sbootstrap.survey.certificates import ON_HOSTS

Confirm = Callable[["RotateContext"], None]
"""Shows what is to do and lets the user stop it with KeyboardInterrupt."""
_ROLLOUT = 1800
"""Seconds that all workloads together get for their new pods."""
_TOKENS = 300.0
"""Seconds that kubelets, which have just restarted, get to renew the tokens of pods."""
_POLL = 5.0
_REREAD = 70.0
"""Seconds after which programs have read a new token: client-go reads its file again every minute."""
_FEW = 5
_AGAIN = "Fix this, then run the same command again: it continues from there."
_TITLES = {
    Stage.TRUST: "1 of 3: all trust the new CAs",
    Stage.SWAP: "2 of 3: certificates by the new CAs",
    Stage.DROP: "3 of 3: nobody trusts the old CAs",
}
_Text = Annotated[str, Field(max_length=3000)]


@dataclass(frozen=True)
class _Answer:
    """What the program on a host prints."""

    found: Mapping[str, Sequence[_Text]]
    problem: Annotated[str, Field(max_length=5000)]


_ANSWER = TypeAdapter(_Answer)


@dataclass(kw_only=True)
class RotateContext(RunContext):
    """What the steps share."""

    confirm: Confirm | None = None
    """None asks nobody."""
    stage: Stage | None = None
    """The stage that is under way; None before the first."""
    users: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What uses the API and would not notice new CAs and keys: workloads, pods, tokens."""


def refuse_changes(context: RotateContext, _step: StepReporter) -> None:
    """See that hosts are as cluster.yaml says: a rotation changes nothing else.

    Raises:
        PreflightError: They are not.
    """
    if not context.todo.settled:
        lines = todo_text.summary(context.todo)
        raise PreflightError(
            "\n".join(["hosts are not as cluster.yaml says. No CA was replaced.", *lines]),
            hint="Run k8sbootstrap up first.",
        )


def require_all_answer(context: RotateContext, _step: StepReporter) -> None:
    """See that all hosts answer: one that misses a stage would not be trusted any more.

    Raises:
        HostError: One does not.
    """
    lost = context.found.unreachable
    if lost:
        raise HostError(
            "\n".join(
                [
                    f"{count(len(lost), 'host')} did not answer. Nothing was changed now.",
                    *map(str, lost.values()),
                ]
            ),
            hint="CAs are replaced on all hosts. Bring them back, or remove them: k8sbootstrap remove.",
        )


def look_at_users(context: RotateContext, _step: StepReporter) -> None:
    """See which pods and tokens depend on what is replaced.

    Raises:
        HostError: No master says so.
    """
    context.users = _on_a_master(context, {"do": "look"})


def ask_user(context: RotateContext, _step: StepReporter) -> None:
    """Show what is to do, and let the user stop it.

    Raises:
        KeyboardInterrupt: The user does not want it.
    """
    if context.confirm:
        context.confirm(context)


def begin(context: RotateContext, _step: StepReporter) -> None:
    """Make the new CAs and keys in the state directory.

    Raises:
        StateError: They can't be made.
    """
    rotation.begin(context.state)


def enter(context: RotateContext, step: StepReporter) -> None:
    """Write the CAs of the stage in the state directory.

    Raises:
        StateError: They can't be written.
    """
    assert context.stage is not None  # noqa: S101 - run_rotation begins it
    rotation.enter(context.state, context.stage)
    step.note(_TITLES[context.stage])


def restart_users(context: RotateContext, step: StepReporter) -> None:
    """Have pods that use the API trust the new CAs: programs read them when they start.

    Raises:
        HostError: A workload does not get its new pods.
    """
    new = rotation.new_authorities(context.state)[0]
    reason = f"ca-{new.serial_number:x}"[:50]
    pem = x509.certificate_pem(new).decode()
    wanted = {"do": "restart", "authority": pem, "reason": reason, "timeout": _ROLLOUT}
    found = _on_a_master(context, wanted, _ROLLOUT + 300)
    step.note(f"{count(len(found.get('restarted', ())), 'workload')} restarted")
    for name, why in (
        ("broken", "did not have all pods before, and was not waited for"),
        ("held", "keeps old pods by its own settings; delete them before the CAs are dropped"),
    ):
        for workload in found.get(name, ()):
            step.note(f"{workload} {why}")


def require_new(context: RotateContext, step: StepReporter) -> None:
    """See that nothing on hosts, and no pod, uses what the old CAs and keys signed.

    Raises:
        VerifyError: Something does.
        HostError: A host does not answer.
    """
    _require_new_certificates(context)
    deadline = time.monotonic() + _TOKENS
    while old := _old_tokens(context):
        if time.monotonic() > deadline:
            number = count(len(old), "pod")
            raise VerifyError(
                f"after {_TOKENS:.0f} s, {number} with tokens of the old key: {_listed(old)}. "
                "The old CAs and keys are still trusted.",
                hint="Delete these pods, so that they start again. Then run the same command again.",
            )
        step.status(f"{count(len(old), 'pod')} with tokens of the old key")
        time.sleep(_POLL)
    step.status("programs read their new tokens")
    time.sleep(_REREAD)
    step.note("no certificate of the old CAs and no token of the old key is in use")


def _require_new_certificates(context: RotateContext) -> None:
    hosts = Hosts(context.pool, (host.ssh for host in context.plan.hosts))
    answers = hosts.ask_all({host.name: Request(certificates=ON_HOSTS) for host in context.plan.hosts})
    if hosts.lost:
        raise HostError("\n".join(hosts.lost.values()), hint=_AGAIN)
    authorities = rotation.old_authorities(context.state)
    old = [
        f"{host}: {shown(path, 300)}"
        for host, answer in answers.items()
        for path, pem in answer.certificates.items()
        if rotation.is_signed_by_one(pem, authorities)
    ]
    if old:
        raise VerifyError(
            f"certificates of the old CAs are still in use: {_listed(old)}",
            hint="Run k8sbootstrap up, which renews them. Then run the same command again.",
        )


def _old_tokens(context: RotateContext) -> list[str]:
    folder = context.plan.config.kubernetes.extra_args.get("kubelet", {}).get("root-dir", "/var/lib/kubelet")
    wanted = {"do": "tokens", "key": rotation.new_token_key(context.state), "folders": [folder]}
    nodes = [host.ssh for host in context.plan.hosts if host.is_node]
    question = _question(wanted)
    answers = context.pool.on_all(nodes, lambda host, session: ask(host, session, question, _ANSWER))
    found = []
    for host, answer in answers.items():
        if isinstance(answer, K8sBootstrapError):
            raise answer
        _found(host, answer)
        found += [f"{name} on {host}" for name in _verified(context.state, answer.found.get("old", ()))]
    return found


def _verified(state: State, lines: Sequence[str]) -> list[str]:
    """Pods whose tokens the old key signed: what only looks like one keeps nobody from dropping it."""
    old = set()
    for line in lines:
        name, _, rest = line.partition(" ")
        digest, _, signature = rest.partition(" ")
        if rotation.is_token_of_old_key(state, digest, signature):
            old.add(shown(name, 600))
    return sorted(old)


def _question(wanted: dict[str, Any]) -> Question:
    script = Path(str(files("k8sbootstrap.hosts.scripts"))) / "rotation.py"
    return Question(program(script), json.dumps(wanted))


def _on_a_master(
    context: RotateContext, wanted: dict[str, Any], timeout: float = 120.0
) -> Mapping[str, Sequence[str]]:
    reasons = []
    for host in masters(context):
        try:
            answer = Hosts(context.pool, [host.ssh]).question(
                host.name, _question(wanted), _ANSWER, timeout=timeout
            )
        except HostError as error:
            reasons.append(str(error))
            continue
        return _found(host.name, answer)
    raise HostError("\n".join(["no master answers", *reasons]), hint=_AGAIN)


def _found(host: str, answer: _Answer) -> dict[str, list[str]]:
    """What a host found, fit for messages.

    Raises:
        HostError: It could not look, or do what was asked.
    """
    if answer.problem:
        raise HostError(f"{host}: {shown(answer.problem, 2000)}", hint=_AGAIN)
    return {name: [shown(text, 600) for text in texts] for name, texts in answer.found.items()}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more


LOOK: tuple[Step[RotateContext], ...] = (
    Step("require_same_release", "", lambda context, _: require_same_release(context)),
    Step("look", "Look at hosts", look),
    Step("require_all_answer", "", require_all_answer),
    Step("authorities", "Certificate authorities", take_authorities),
)
BEGIN: tuple[Step[RotateContext], ...] = (
    *LOOK,
    *PREPARE,
    Step("compare", "Compare with cluster.yaml", compare_hosts),
    Step("refuse_changes", "", refuse_changes),
    Step("look_at_users", "What uses the API", look_at_users),
    Step("confirm", "", ask_user),
    Step("begin", "New CAs and keys", begin),
)
"""Nothing changes before ``begin``, and nothing on hosts."""
STAGE: tuple[Step[RotateContext], ...] = (
    *LOOK,
    Step("enter", "CAs and keys", enter),
    *PREPARE,
    Step("compare", "Compare with hosts", compare_hosts),
    Step("install", "", install, needed=is_to_do),
    Step("verify", "Verify", verify),
)
AFTER: Mapping[Stage, tuple[Step[RotateContext], ...]] = {
    Stage.TRUST: (Step("restart_users", "Restart what uses the API", restart_users),),
    Stage.SWAP: (Step("require_new", "Wait until the old ones are unused", require_new),),
    Stage.DROP: (),
}
"""What must have come to its end before the next stage."""


def run_rotation(
    plan: ClusterPlan,
    cluster_file: Path,
    options: RunOptions,
    reporter: Reporter,
    *,
    confirm: Confirm | None,
) -> Summary:
    """Replace the CAs and the key of service accounts, while the cluster works.

    Killed at any moment and run again, it continues with the stage that was under way.

    Args:
        plan: The cluster.
        cluster_file: cluster.yaml; the state directory is beside it.
        options: About host keys and certificate authorities.
        reporter: Shows what happens.
        confirm: Shows what is to do; None asks nobody.

    Returns:
        How it went.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: Hosts are not as cluster.yaml says; nothing was changed.
        HostError: A host failed or could not be reached.
        VerifyError: The cluster does not work, or something still uses the old CAs or keys.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can fix.
    """
    with changing(RotateContext, "certs rotate-ca", plan, cluster_file, reporter, options=options) as context:
        state = context.state
        if rotation.under_way(state) is None:
            context.confirm = confirm
            take(BEGIN, context, context.run.step)
        first = rotation.under_way(state) or Stage.TRUST
        for stage in STAGES[STAGES.index(first) :]:
            of_stage = RotateContext.begin(plan, cluster_file, context.run, context.pool, options)
            of_stage.stage = stage
            take((*STAGE, *AFTER[stage]), of_stage, context.run.step)
        rotation.end(state)
    return context.run.result


def lines_of(context: RotateContext) -> list[str]:
    """What is to do, for the user to decide about."""
    plan, users = context.plan, context.users
    workloads = len(users.get("workloads", ()))
    masters_, nodes = len(plan.masters), sum(host.is_node for host in plan.hosts)
    lines = [
        f"CAs that are there, and when they end: {', '.join(_ends(context.state))}",
        "three stages: all trust the new CAs, certificates are made by them, nobody trusts the old ones",
        f"in each, services restart on {count(masters_, 'master')} and {count(nodes, 'node')}, host by host",
        f"after the first, workloads whose pods use the API restart by their own strategies: {workloads}",
    ]
    if pods := users.get("pods"):
        lines.append(
            "pods of Jobs, of other controllers or of nobody are not restarted. They lose the API until you "
            f"start them again: {_listed(pods)}"
        )
    if tokens := users.get("tokens"):
        lines.append(f"long-lived tokens in Secrets stop working; create new ones: {_listed(tokens)}")
    issued = [user.name for user in issued_users(context.state) if user.days_left >= 0]
    if issued:
        lines.append(f"kubeconfigs of users stop working; issue new ones: {_listed(issued)}")
    lines.append("copies of the admin kubeconfig stop working")
    return lines


def _ends(state: State) -> Iterator[str]:
    store = Store(state)
    for authority in table.AUTHORITIES:
        end = store.authority(authority.name).certificate.not_valid_after_utc
        yield f"{authority.common_name} ({end:%Y-%m-%d})"

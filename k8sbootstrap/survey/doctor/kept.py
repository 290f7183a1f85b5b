"""What was seen, and what rules read of cluster.yaml, as one JSON document: to be judged elsewhere."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.doctor.look import ClusterLook, HostLook
from k8sbootstrap.survey.doctor.objects import Deployment, Event, Form, Node, Pod, items
from k8sbootstrap.survey.doctor.requests import DEPLOYMENTS, EVENTS, NODES, PODS, doctor_request

VERSION = 1
"""Of the document's form."""
_LOOK = TypeAdapter(ClusterLook)
_FORMS: dict[str, type[Form]] = {NODES: Node, PODS: Pod, DEPLOYMENTS: Deployment, EVENTS: Event}
_PARTS = ("api_version", "kind", "name", "kubernetes", "releases", "network", "dns", "api", "etcd")
"""Parts of cluster.yaml that are kept whole. No other names a file of this machine, or a secret."""


def document_of(plan: ClusterPlan, look: ClusterLook) -> dict[str, Any]:
    """What is kept; of Kubernetes' objects only what rules read.

    Args:
        plan: The cluster as it should be.
        look: What was seen.
    """
    api = {key: _reduced(answer, _FORMS[key]) for key, answer in look.api.items() if key in _FORMS}
    hosts = {
        host.name: _own(plan, host, look.hosts[host.name]) for host in plan.hosts if host.name in look.hosts
    }
    return {
        "version": VERSION,
        "cluster": _configuration(plan),
        "look": asdict(replace(look, hosts=hosts, api=api)),
    }


def read(text: str | bytes) -> tuple[ClusterPlan, ClusterLook]:
    """Read such a document. It may come from anybody.

    Raises:
        ValueError: It is none, or of another version of k8sbootstrap.
        UnknownReleaseError: The catalogue does not have the release.
    """
    try:
        document = from_json(text, allow_inf_nan=False)
        if document["version"] != VERSION:
            raise ValueError("it was made by another version of k8sbootstrap")
        config = Cluster.model_validate(document["cluster"], by_alias=True, by_name=False)
        return build_plan(config, Path("cluster.yaml")), _LOOK.validate_python(document["look"])
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
    except (LookupError, TypeError, RecursionError) as exc:
        raise ValueError("it has another form") from exc


def _own(plan: ClusterPlan, host: HostPlan, seen: HostLook) -> HostLook:
    """What a host answered to doctor's own questions."""
    keys = doctor_request(plan, host).run
    run = {key: answer for key, answer in seen.answer.run.items() if key in keys}
    return replace(seen, answer=replace(seen.answer, run=run))


def _reduced(answer: RunAnswer, form: type[Form]) -> RunAnswer:
    listed = TypeAdapter(list[form]).dump_json(list(items(answer.stdout, form)), by_alias=True)  # type: ignore[valid-type]
    return replace(answer, stdout=f'{{"items": {listed.decode()}}}') if answer.rc == 0 else answer


def _configuration(plan: ClusterPlan) -> dict[str, Any]:
    config = plan.config
    whole = config.model_dump(mode="json", by_alias=True, exclude_unset=True, include=set(_PARTS))
    runtime = config.runtime.model_dump(
        mode="json", by_alias=True, exclude_unset=True, include={"name", "source", "docker"}
    )
    whole["runtime"] = runtime
    whole["hosts"] = [
        {
            **host.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"ssh"}),
            "ssh": {"user": planned.ssh.user, "port": planned.ssh.port},
        }
        for host, planned in zip(config.hosts, plan.hosts, strict=True)
    ]
    return whole

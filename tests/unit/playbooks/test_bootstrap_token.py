"""Bootstrap tokens are what the API server accepts, and end by themselves."""

import datetime as dt
import json
from types import ModuleType
from typing import Any

import pytest
from playbook_code import load


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, list[Any]]:
    """The module, with a list of what kubectl is called with."""
    module = load("library", "kube_bootstrap_token")
    calls: list[Any] = []
    monkeypatch.setattr(module, "kubectl", lambda *words, **more: calls.append((words, more)) or "")
    return module, calls


SECRET = "0123456789abcdef"


def test_the_secret_is_one_that_lets_nodes_join_for_a_while(token: tuple[ModuleType, list[Any]]) -> None:
    module, calls = token
    module._create("abcdef", SECRET, 15)
    (words, more) = calls[0]
    secret = json.loads(more["stdin"])
    data = secret["stringData"]
    assert words == ("create", "-f", "-")
    assert secret["type"] == "bootstrap.kubernetes.io/token"
    assert secret["metadata"]["namespace"] == "kube-system"
    assert secret["metadata"]["name"] == "bootstrap-token-abcdef"
    assert (data["token-id"], data["token-secret"]) == ("abcdef", SECRET)
    assert data["usage-bootstrap-authentication"] == "true"
    assert data["auth-extra-groups"] == "system:bootstrappers:kubeadm:default-node-token"
    life = dt.datetime.fromisoformat(data["expiration"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=14) < life <= dt.timedelta(minutes=15)


def test_the_secret_is_on_no_command_line(token: tuple[ModuleType, list[Any]]) -> None:
    module, calls = token
    module._create("abcdef", SECRET, 15)
    assert SECRET not in " ".join(calls[0][0])


def test_only_our_own_tokens_are_deleted(
    token: tuple[ModuleType, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, calls = token
    found: list[Any] = []
    monkeypatch.setattr(module, "kubectl_json", lambda *_: {"items": found})
    assert module._delete() is False
    assert calls == []
    found.append({"metadata": {"name": "bootstrap-token-abcdef"}})
    assert module._delete() is True
    words = " ".join(calls[0][0])
    assert words.startswith("delete secrets -n kube-system -l app.kubernetes.io/managed-by=k8sbootstrap ")
    assert words.endswith("type=bootstrap.kubernetes.io/token")

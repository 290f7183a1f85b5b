"""What doctor prints, word by word, and its JSON."""

import json

import pytest

from k8sbootstrap.checks.doctor.causes import as_document, diagnose
from k8sbootstrap.checks.doctor.text import text
from k8sbootstrap.survey.doctor import kept

from . import sound as s
from .test_rules import CASES, cordoned, member_stopped, quorum_lost

API = "127.0.0.1:6443"


def lines(plan, look, *, every=False):
    return [line.plain for line in text(diagnose(plan, look), s.NOW + 1, every=every)]


def test_nothing_found(plan, look):
    assert lines(plan, look) == ["Nothing found: the cluster demo is well (0.0 s)."]


def test_a_cause_and_what_follows(plan, look):
    said = lines(plan, member_stopped(look))
    assert said[0] == "1. etcd-member-down  m3: etcd.service is inactive (dead)"
    assert said[1].startswith("   since ")
    assert said[1].endswith(" UTC (1 min 00 s ago)")
    assert said[2:] == [
        "   seen: systemctl: etcd.service is inactive (dead), result success",
        "   On m3, run: systemctl start etcd. If it ends again, run: journalctl -u etcd -n 50",
        "   from this follows:",
        "     apiserver-down  m3: kube-apiserver is not well: [Errno 111] Connection refused",
        f"     api-not-from-node  m3: its kubelet does not reach the API at {API}: HTTP 500 [-]etcd failed",
        "",
        "3 findings, 1 cause (0.0 s). Fix the first one first.",
    ]


def test_many_consequences_are_cut_unless_all_are_wanted(plan, look):
    said = lines(plan, quorum_lost(look))
    assert "     and 2 more: run k8sbootstrap -v doctor" in said
    every = lines(plan, quorum_lost(look), every=True)
    assert not any("more: run" in line for line in every)
    assert "        On w2, run: systemctl restart kube-proxy" in every


def test_json(plan, look):
    document = as_document(diagnose(plan, cordoned(look)))
    assert (document["ok"], document["cluster"]) == (False, "demo")
    (found,) = document["findings"]
    assert list(found) == [
        "id",
        "about",
        "host",
        "status",
        "message",
        "evidence",
        "since",
        "fix",
        "consequences",
    ]
    assert (found["id"], found["status"], found["consequences"]) == ("node-cordoned", "warning", [])
    assert found["since"] == s.iso(s.NOW - 86400).replace("Z", "+00:00")
    assert as_document(diagnose(plan, look)) == {
        "cluster": "demo",
        "ok": True,
        "seconds": 0.0,
        "findings": [],
    }


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_kept_in_a_file_is_judged_the_same(plan, look, case):
    broken = case[0](look)
    text = json.dumps(kept.document_of(plan, broken))
    assert as_document(diagnose(*kept.read(text))) == as_document(diagnose(plan, broken))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "EOF"),
        ("[]", "another form"),
        ('{"version": 2}', "another version"),
        ('{"version": 1, "cluster": {}, "look": {}}', "Field required"),
    ],
)
def test_a_file_of_something_else(text, said):
    with pytest.raises(ValueError, match=said):
        kept.read(text)

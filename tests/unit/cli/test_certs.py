import datetime as dt
import json
from dataclasses import replace

import pytest

from k8sbootstrap.cli import certs
from k8sbootstrap.survey.certificates import Certificates, FoundCertificate
from tests.cluster_yaml import cluster_yaml

END = dt.datetime(2027, 1, 2, tzinfo=dt.UTC)
LEAF = FoundCertificate(
    host="m1",
    path="/etc/a.crt",
    subject="CN=kube-apiserver",
    issuer="kubernetes",
    sans=("m1", "10.0.0.1"),
    authority=False,
    not_before=END,
    not_after=END,
    days_left=20,
)
CA = replace(
    LEAF, host="w1", path="/etc/ca.crt", subject="CN=kubernetes", sans=(), authority=True, days_left=3000
)


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "cluster.yaml"
    path.write_text(cluster_yaml("m1", "w1"))
    return path


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """What is found; tests may change it."""
    seen = {"found": (LEAF, CA), "lost": {}}
    monkeypatch.setattr(certs, "look", lambda *_: Certificates(**seen))
    return seen


def test_table(run, file):
    ran = run("-f", str(file), "certs", "status", "--warn-days", "20")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "  days  expires     host  file         subject (issuer)",
        "    20  2027-01-02  m1    /etc/a.crt   CN=kube-apiserver (kubernetes)",
        "  3000  2027-01-02  w1    /etc/ca.crt  CN=kubernetes (CA)",
    ]
    assert "m1, 10.0.0.1" in run("-f", str(file), "certs", "status", "--warn-days", "20", "-v").out


def test_one_that_expires_soon_is_an_error(run, file):
    ran = run("-f", str(file), "certs", "status")
    assert ran.code == 6
    assert "1 certificate with less than 30 days left: /etc/a.crt on m1" in ran.err


def test_a_lost_host_is_an_error(run, file, found):
    found["lost"] = {"w1": "w1: no route"}
    ran = run("-f", str(file), "certs", "status", "--warn-days", "5")
    assert ran.code == 5
    assert "w1: no route" in ran.err


def test_json(run, file):
    ran = run("-f", str(file), "certs", "status", "-o", "json")
    assert ran.code == 6
    document = json.loads(ran.out)
    assert (document["ok"], document["lost"]) == (False, {})
    assert document["certificates"][0] == {
        "host": "m1",
        "path": "/etc/a.crt",
        "subject": "CN=kube-apiserver",
        "issuer": "kubernetes",
        "sans": ["m1", "10.0.0.1"],
        "authority": False,
        "not_before": "2027-01-02T00:00:00+00:00",
        "not_after": "2027-01-02T00:00:00+00:00",
        "days_left": 20,
    }

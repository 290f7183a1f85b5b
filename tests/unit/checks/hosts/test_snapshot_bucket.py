"""Whether hosts of etcd can use the bucket for snapshots: asked of them alone, and never a reason to stop."""

import json

from k8sbootstrap.checks.framework import Status
from k8sbootstrap.checks.hosts.base import HostCase, Seen
from k8sbootstrap.checks.hosts.run import probe
from k8sbootstrap.checks.hosts.snapshot_bucket import snapshot_bucket
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.survey.facts import parse
from tests.unit.hosts.sessions import ScriptedSession

S3 = {
    "endpoint": "https://store.example.com",
    "bucket": "backups",
    "accessKey": "AK",
    "secretKey": {"env": "S3_SECRET"},
}
QUESTION = {"platforms": [], "address": "192.0.2.11", "free": ""}


def test_what_the_host_says_of_it(make_plan, recording):
    plan = make_plan(etcd={"snapshots": {"s3": S3}})

    def verdict(bucket):
        seen = {"m1": Seen(parse(recording()), 1000.0, 1001.0, bucket)}
        return snapshot_bucket(HostCase(plan, plan.hosts[0], seen))

    assert verdict(None).message == "not used on this host"
    assert verdict("").message == "the bucket backups can be listed"
    wrong = verdict("https://store.example.com: NoSuchBucket")
    assert wrong.status is Status.WARNING
    assert (
        wrong.message == "the bucket backups can't be used from here: https://store.example.com: NoSuchBucket"
    )


def test_only_hosts_with_a_store_are_asked(make_plan, recording):
    asked = []

    def answer(_host, _command, stdin):
        wanted = json.loads(stdin.partition("\n")[0])
        asked.append(wanted)
        return RunAnswer(0, '{"problem": "NoSuchBucket"}' if "do" in wanted else recording(), "")

    session = ScriptedSession(make_plan().hosts[0].ssh, answer)
    assert probe("m1", session, QUESTION).bucket is None
    assert probe("m1", session, QUESTION, {"bucket": "backups"}).bucket == "NoSuchBucket"
    assert asked[1:] == [QUESTION, {"do": "check", "store": {"bucket": "backups", "seconds": 15.0}}]

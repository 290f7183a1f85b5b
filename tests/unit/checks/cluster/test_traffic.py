"""What pods and hosts are told to try; the pod script runs for real, in this machine's sh."""

import os
import subprocess
from dataclasses import replace

import pytest

from k8sbootstrap.checks.workload.traffic import (
    API_SERVICE,
    DNS,
    SERVICE,
    Try,
    host_request,
    nodeport_key,
    nodeport_targets,
    parse_tries,
    pod_command,
)
from k8sbootstrap.config.models.network import Dns
from tests.cluster_yaml import cluster_yaml

from .healthy import healthy, make_plan

WGET = """\
#!/bin/sh
case "$*" in
  *10.244.0.5*) echo verify-m1;;
  *10.96.0.1*) echo "wget: server returned error: HTTP/1.0 400 Bad Request" >&2; exit 1;;
  *) echo "wget: can't connect to remote host: * Connection refused" >&2; exit 1;;
esac
"""

NSLOOKUP = """\
#!/bin/sh
printf 'Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n'
[ "$2$BROKEN" = kubernetes.default.svc.cluster.local ] && printf 'Name:\t%s\nAddress: 10.96.0.1\n' "$2"
exit 0
"""

CLOCK = """\
#!/bin/sh
echo . >> "$0.ticks"
wc -c < "$0.ticks"
"""


@pytest.fixture
def pod_shell(tmp_path):
    """Runs the command that a pod gets, with a wget that knows few addresses and a clock that runs fast."""
    programs = {"wget": WGET, "nslookup": NSLOOKUP, "sleep": "#!/bin/sh\n", "date": CLOCK}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def run(argv, **more):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "POD_NAME": "verify-w1", **more}
        inside = argv[argv.index("--") + 1 :]
        return subprocess.run(inside, env=environment, capture_output=True, text=True, timeout=20, check=True)

    return run


def test_the_pod_script_and_its_parser_agree(facts, pod_shell):
    workload = facts.workload
    done = pod_shell(list(pod_command(facts, workload, workload.pods["w1"]).argv))
    tries = parse_tries(done.stdout)
    assert tries.pod == "verify-w1"
    assert tries.seen["10.244.0.5"] == Try(ok=True, text="verify-m1")
    assert tries.seen["10.244.1.5"].text == "wget: can't connect to remote host: * Connection refused"
    assert not tries.seen["10.244.1.5"].ok
    assert not tries.seen[SERVICE].ok
    assert tries.seen[API_SERVICE].ok  # a 400 shows that the API server was reached
    assert "10.244.3.5" not in tries.seen  # itself
    assert tries.seen[DNS] == Try(ok=True, text="10.96.0.1")


def test_a_server_that_knows_no_name_is_not_taken_for_an_answer(facts, pod_shell):
    workload = facts.workload
    command = list(pod_command(facts, workload, workload.pods["w1"]).argv)
    seen = parse_tries(pod_shell(command, BROKEN="1").stdout).seen[DNS]
    assert not seen.ok
    assert "10.96.0.10" in seen.text


def test_without_dns_no_name_is_asked_for(facts, plan, pod_shell):
    config = plan.config.model_copy(update={"dns": Dns(name="none")})
    without = replace(facts, plan=replace(plan, config=config))
    workload = facts.workload
    done = pod_shell(list(pod_command(without, workload, workload.pods["w1"]).argv))
    tries = parse_tries(done.stdout)
    assert tries.pod == "verify-w1"
    assert DNS not in tries.seen


def test_a_pod_asks_all_other_running_pods_and_both_services(facts):
    command = pod_command(facts, facts.workload, facts.workload.pods["w1"]).argv
    targets = [word for word in command if "=http://" in word]
    assert sorted(target.split("=")[0] for target in targets) == [
        "10.244.0.5",
        "10.244.1.5",
        "10.244.2.5",
        "10.244.4.5",
        API_SERVICE,
        SERVICE,
    ]


def test_hosts_ask_every_nodeport_and_both_services(facts, plan):
    http = host_request(facts, facts.workload, plan.hosts[4]).http
    assert http[nodeport_key("m1")].url == "http://192.0.2.11:31234/"
    assert http[SERVICE].url == "http://10.96.7.7/"
    assert http[API_SERVICE].url == "https://10.96.0.1:443/readyz"
    assert len(http) == 7


def test_nodeports_of_a_large_cluster_are_sampled_and_all_covered(tmp_path):
    plan = make_plan(tmp_path, cluster_yaml("m1", *(f"w{i}" for i in range(24)), version="1.36.2"))
    asked = {host.name: 0 for host in plan.nodes}
    facts = healthy(plan)
    for host in plan.nodes:
        targets = nodeport_targets(facts, host)
        assert len(targets) == 10
        for target in targets:
            asked[target.name] += 1
    assert set(asked.values()) == {10}


def test_output_that_broke_off_names_no_pod():
    assert parse_tries("OK 10.244.0.5 verify-m1\n").pod is None
    assert parse_tries("").seen == {}

"""The hand-written sample inventory does what a rendered one does."""

import json
from pathlib import Path

import yaml
from scenarios import ROOT, SCENARIOS, Rendered, artifacts, play
from test_lint import BIN, run

from k8sbootstrap.catalog.resolve import default_version
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.state import State
from tests.golden_tree import golden_paths

SAMPLE = ROOT / "inventory/sample/hosts.yml"
SCENARIO = next(scenario for scenario in SCENARIOS if scenario.name == "1.36-docker")
GOLDEN = Path(__file__).parent / "golden" / SCENARIO.name


def known() -> set[str]:
    """Every option of every role."""
    specs = (ROOT / "roles").glob("*/meta/argument_specs.yml")
    return {
        name
        for path in specs
        for name in yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
    }


def test_it_names_only_what_roles_know(tmp_path: Path) -> None:
    done = run(tmp_path, BIN / "ansible-inventory", "-i", SAMPLE, "--list")
    assert done.returncode == 0, done.stderr
    inventory = json.loads(done.stdout)
    hosts = inventory["_meta"]["hostvars"]
    assert list(hosts) == ["master1", "master2", "master3", "worker1", "worker2"]
    assert {name for name in inventory["all"]["children"] if name != "ungrouped"} == {
        "masters",
        "etcd",
        "nodes",
    }
    variables = {name for values in hosts.values() for name in values}
    strange = {name for name in variables if not name.startswith(("ansible_", "sample_"))} - known()
    assert strange == set()


def test_roles_take_it_and_make_the_same_files(tmp_path: Path) -> None:
    """The sample describes the very cluster that the golden files are of."""
    cluster_file = tmp_path / "cluster.yaml"
    cluster_file.write_text(SCENARIO.text.format(version=default_version(), runtime=SCENARIO.runtime))
    plan = load_plan(cluster_file)
    state = State.beside(cluster_file, plan.config.name)
    state.create()
    ensure_pki(plan, state)
    files = artifacts(plan)
    sums = [f"{artifact.sha256}  {key}\n" for key, artifact in files.items()]
    (tmp_path / "SHA256SUMS").write_text("".join(sums))

    variables = {"sample_files": str(tmp_path), "sample_pki": str(state.pki)}
    rendered = Rendered(SCENARIO, plan, SAMPLE, play(tmp_path, SAMPLE, variables))

    made = {str(file.golden): file.text for file in rendered.files if file.template}
    expected = {name: path.read_text() for name, path in golden_paths(GOLDEN).items()}
    expected.pop("master1/cluster_rbac/bindings.yaml")
    assert made == expected
    for request in rendered.requests("master1") + rendered.requests("worker1"):
        for binary in request["binaries"]:
            program = Path(binary["dest"]).name
            assert binary["sha256"] in {files[key].sha256 for key in files if Path(key).name == program}

"""Charts, rendered by upstream's own helm."""

import base64
import json
import shutil
from pathlib import Path

import pytest

from k8sbootstrap.addons.objects_file import files, write_addons
from k8sbootstrap.catalog.resolve import helm
from k8sbootstrap.errors import ConfigError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml

CHART = Path(__file__).parent / "charts/web"
CLUSTER = cluster_yaml("m1", version="1.36.3", dns="{name: none}") + "manifests:\n"


class Site:
    """A folder with cluster.yaml and the chart, where charts are rendered."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder
        self.fetched = {helm("amd64").key: program}
        self.notes: list[str] = []
        shutil.copytree(CHART, folder / "web")

    def groups(self, manifests: str) -> list[dict]:
        cluster = self.folder / "cluster.yaml"
        cluster.write_text(CLUSTER + manifests)
        state = State(self.folder / "state")
        state.create()
        self.notes = write_addons(load_plan(cluster), cluster, self.fetched, state)
        return json.loads(state.addons.read_text())

    def objects(self, manifests: str) -> dict[str, dict]:
        """Every object, by kind and name."""
        found = [each["object"] for group in self.groups(manifests) for each in group["objects"]]
        return {f"{item['kind']}/{item['metadata']['name']}": item for item in found}

    @property
    def kept(self) -> list[Path]:
        return sorted((self.folder / "state/charts").iterdir())


@pytest.fixture
def site(tmp_path: Path, helm_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return Site(tmp_path, helm_directory / helm("amd64").key)


def test_a_chart(site: Site) -> None:
    (site.folder / "more.yaml").write_text("replicas: 2\ntext: of a file\n")
    (site.folder / "last, of all.yaml").write_text("text: of the last file\n")
    (group,) = site.groups(
        "- {chart: ./web, release: shop, namespace: store, values: {replicas: 3},\n"
        "   valuesFiles: [more.yaml, 'last, of all.yaml']}\n"
    )
    assert (group["name"], group["wait"]) == ("manifests", False)
    assert [(each["source"], each["number"]) for each in group["objects"]] == [
        ("namespace of chart shop", 1),
        ("chart shop, web/crds/things.yaml", 1),
        ("chart shop, web/templates/web.yaml", 1),
        ("chart shop, web/templates/web.yaml", 2),
        ("chart shop, web/templates/thing.yaml", 1),
    ]
    places = [
        (each["object"]["kind"], each["object"]["metadata"].get("namespace")) for each in group["objects"]
    ]
    assert places == [
        ("Namespace", None),
        ("CustomResourceDefinition", None),
        ("ConfigMap", "kube-public"),
        ("Deployment", "store"),
        ("Thing", None),
    ]
    namespace, crd, config_map, deployment, _ = (each["object"] for each in group["objects"])
    for stays in (namespace, crd):
        assert stays["metadata"]["annotations"] == {"k8sbootstrap.io/prune": "false"}
    assert "annotations" not in config_map["metadata"]
    assert config_map["data"] == {"text": "of the last file", "kubernetes": "v1.36.3", "things": "false"}
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["template"]["metadata"]["labels"] == {"app": "shop"}  # given twice in the chart
    hooks = "Job/pre-install (pre-install), Job/post-delete (post-delete)"
    assert site.notes == [f"chart shop: hooks are not run: {hooks}"]


def test_kinds_that_came_before_are_known(site: Site) -> None:
    shutil.copy(CHART / "crds/things.yaml", site.folder)
    (site.folder / "web/crds/things.yaml").unlink()
    found = site.objects("- file: things.yaml\n- {chart: web, release: shop}\n")
    assert found["ConfigMap/shop"]["data"]["things"] == "true"
    assert "namespace" not in found["Thing/shop"]["metadata"]
    assert found["Deployment/shop"]["metadata"]["namespace"] == "default"


def test_a_namespace_that_is_described_is_not_made(site: Site) -> None:
    (site.folder / "ns.yaml").write_text("{apiVersion: v1, kind: Namespace, metadata: {name: store}}\n")
    found = site.objects("- file: ns.yaml\n- {chart: web, release: a, namespace: store}\n")
    assert "annotations" not in found["Namespace/store"]["metadata"]
    (site.folder / "web/crds/things.yaml").unlink()
    groups = site.groups(
        "- {chart: web, release: a, namespace: new, values: {text: a}}\n"
        "- {chart: web, release: b, namespace: new}\n"
        "- {chart: web, release: c, namespace: kube-system}\n"
    )
    assert [group["objects"][0]["object"]["kind"] for group in groups] == [
        "Namespace",
        "ConfigMap",
        "ConfigMap",
    ]


def test_random_values_stay_until_something_changes(site: Site) -> None:
    chart = "- {chart: web, release: shop, values: {random: true%s}}\n"

    def password(more: str = "") -> str:
        return base64.b64decode(site.objects(chart % more)["Secret/shop"]["data"]["password"]).decode()

    first = password()
    assert "in Secret/default/shop: they stay until" not in site.notes[-1]
    assert (
        "in Secret/shop: they are kept until the chart, its values, Kubernetes or helm change"
        in site.notes[-1]
    )
    assert password() == first
    (kept,) = site.kept
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert password(", replicas: 2") != first
    assert site.kept != [kept], "what is no longer used is not kept"
    assert len(site.kept) == 1
    (site.folder / "web/values.yaml").write_text("replicas: 2\n")
    assert len({first, password(), password()}) == 2


def test_what_is_kept_needs_no_rendering(site: Site) -> None:
    chart = "- {chart: web, release: shop}\n"
    first = site.groups(chart)
    site.fetched = {helm("amd64").key: Path("/nowhere")}
    assert site.groups(chart) == first
    site.kept[0].write_text("{damaged")
    with pytest.raises(ConfigError, match="chart shop: /nowhere cannot be read: No such file or directory"):
        site.groups(chart)


@pytest.mark.parametrize(
    ("template", "values", "said"),
    [
        ('{{ fail "choose a text" }}', "{}", "choose a text"),
        ("{{ .Values.a.b }}", "{}", "web/templates/web.yaml:1:10"),
        ("a: [", "{}", "YAML parse error on web/templates/web.yaml"),
        ("a: b", "{replicas: many}", "got string, want integer"),
        ("a: b", "{}", "chart shop, web/templates/web.yaml, document 1 has no apiVersion"),
    ],
)
def test_helms_own_words(site: Site, template: str, values: str, said: str) -> None:
    (site.folder / "web/templates/web.yaml").write_text(template)
    with pytest.raises(ConfigError) as caught:
        site.groups(f"- {{chart: web, release: shop, values: {values}}}\n")
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == ("manifests[0].chart", 9)
    assert "chart shop" in problem.message
    assert said in problem.message
    assert ".helm-" not in problem.message


def test_a_chart_for_other_releases_of_kubernetes(site: Site) -> None:
    (site.folder / "web/Chart.yaml").write_text(
        "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: '>=1.99'\n"
    )
    with pytest.raises(ConfigError, match=r"requires kubeVersion: >=1\.99 .* Kubernetes v1\.36\.3"):
        site.groups("- {chart: web, release: shop}\n")


def test_files_to_fetch(tmp_path: Path) -> None:
    sha256 = "ab" * 32
    cluster = tmp_path / "cluster.yaml"
    chart = f"repository: https://charts.example.com, version: 1.2.3, sha256: {sha256}"
    cluster.write_text(f"{CLUSTER}- {{chart: web, release: shop, {chart}}}\n")
    file, program = files(load_plan(cluster))
    assert (file.key, file.sha256, file.known_by) == (
        f"charts/{sha256[:12]}/any/web-1.2.3.tgz",
        sha256,
        "cluster.yaml",
    )
    assert program.key.startswith("helm/")
    cluster.write_text(CLUSTER.replace("manifests:", ""))
    assert files(load_plan(cluster)) == []

"""The file of all objects that are applied."""

import base64
import json
from pathlib import Path

import pytest

from k8sbootstrap.addons.objects_file import LABEL, files, write_addons
from k8sbootstrap.errors import ConfigError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml("m1", dns="{name: none}")
SHA256 = "ab" * 32
URL = f"manifests:\n- {{url: 'https://example.com/y.yaml?raw=1', sha256: {SHA256}}}\n"


def config_map(name: str) -> str:
    return f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{mine: x}}}}\n"


def write(folder: Path, manifests: str, fetched: dict[str, Path] | None = None) -> list[dict]:
    cluster = folder / "cluster.yaml"
    cluster.write_text(CLUSTER + manifests)
    write_addons(load_plan(cluster), cluster, fetched or {}, State(folder))
    assert (folder / "addons.json").stat().st_mode & 0o777 == 0o600
    return json.loads((folder / "addons.json").read_text())


def test_nothing_is_a_list_of_nothing(tmp_path: Path) -> None:
    assert write(tmp_path, "") == []


def test_manifests_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "d/sub").mkdir(parents=True)
    (tmp_path / "d/10.yaml").write_text(config_map("ten"))
    (tmp_path / "d/sub/05.yml").write_text(config_map("sub"))
    (tmp_path / "d/README.md").write_text("not one")
    (tmp_path / "z.json").write_text(
        json.dumps(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "z"}, "stringData": {"a": "b"}}
        )
    )
    groups = write(tmp_path, "manifests:\n- file: z.json\n- directory: d\n")
    assert [(g["name"], g["wait"], [o["source"] for o in g["objects"]]) for g in groups] == [
        ("manifests", False, ["z.json"]),
        ("manifests", False, ["d/10.yaml", "d/sub/05.yml"]),
    ]
    secret = groups[0]["objects"][0]["object"]
    assert secret["data"] == {"a": base64.b64encode(b"b").decode()}
    assert "stringData" not in secret
    assert groups[1]["objects"][0]["object"]["metadata"]["labels"] == {"mine": "x", LABEL: "manifests"}


def test_a_url_is_a_file_to_fetch(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(CLUSTER + URL)
    (file,) = files(load_plan(tmp_path / "cluster.yaml"))
    assert (file.key, file.sha256) == (f"manifests/{SHA256[:12]}/any/y.yaml", SHA256)
    (tmp_path / "got").write_text(config_map("far"))
    (group,) = write(tmp_path, URL, {file.key: tmp_path / "got"})
    assert group["objects"][0]["source"] == "https://example.com/y.yaml?raw=1"


def test_a_bad_file_behind_a_url(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(CLUSTER + URL)
    (file,) = files(load_plan(tmp_path / "cluster.yaml"))
    (tmp_path / "got").write_text("<html>")
    with pytest.raises(
        ConfigError, match=r"https://example.com/y.yaml\?raw=1, document 1 is not a Kubernetes"
    ):
        write(tmp_path, URL, {file.key: tmp_path / "got"})


def test_one_object_in_two_places(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(config_map("x"))
    (tmp_path / "b.yaml").write_text(config_map("y") + config_map("x"))
    with pytest.raises(
        ConfigError, match=r"b.yaml, document 2 and a.yaml, document 1 both describe ConfigMap/x"
    ):
        write(tmp_path, "manifests:\n- file: a.yaml\n- file: b.yaml\n")

"""Objects are read as kubectl reads them, and what is none is named with its file and document."""

import pytest

from k8sbootstrap.formats.objects import ObjectError, read_objects

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"


def test_documents_and_lists() -> None:
    text = (
        f"---\n# nothing but a comment\n---\n{HEAD}---\n"
        "apiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: n}}\n"
        "- {apiVersion: v1, kind: Namespace, metadata: {name: n}}\n"
    )
    found = read_objects(text, "x.yaml")
    assert [(each.number, each.title) for each in found] == [
        (2, "ConfigMap/x"),
        (3, "Deployment/n/a"),
        (3, "Namespace/n"),
    ]
    assert found[1].identity == ("apps", "Deployment", "n", "a")
    assert found[0].place == "x.yaml, document 2"


def test_json_is_read_too() -> None:
    text = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}}'
    assert read_objects(text, "x.json")[0].object["data"] == {"a": "b"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2020-01-01", "2020-01-01"),
        ("22:22", "22:22"),
        ("=", "="),
        ("0644", 420),
        ("0x1f", 31),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("yes", True),
        ("1.36.2", "1.36.2"),
        ("100m", "100m"),
        ("~", None),
    ],
)
def test_scalars(written: str, read: object) -> None:
    (found,) = read_objects(f"{HEAD}value: {written}\n", "x.yaml")
    assert found.object["value"] == read
    assert type(found.object["value"]) is type(read)


def test_keys_are_text_and_anchors_work() -> None:
    (found,) = read_objects(f"{HEAD}base: &b {{1: a, on: b}}\ndata: {{<<: *b, c: d}}\n", "x.yaml")
    assert found.object["data"] == {"1": "a", "on": "b", "c": "d"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", r"x.yaml, line \d is not valid YAML: .*"),
        (f"{HEAD}a: 1\na: 2\n", "x.yaml, line 5 is not valid YAML: the key a is given twice"),
        (f"{HEAD}? [a]\n: b\n", "x.yaml, line 4 is not valid YAML: a key must be plain text"),
        (
            f"{HEAD}a: !!binary aGk=\n",
            "x.yaml, line 4 is not valid YAML: could not determine a constructor.*",
        ),
        ("- a\n", "x.yaml, document 1 is not a Kubernetes object but a list"),
        ("kind: X\n", "x.yaml, document 1 has no apiVersion"),
        (f"{HEAD}---\napiVersion: v1\n", "x.yaml, document 2 has no kind"),
        ("apiVersion: v1\nkind: X\n", r"x.yaml, document 1 \(X\) has no metadata.name"),
        (
            "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-}\n",
            r"x.yaml, document 1 \(Job\) has no metadata.name \(generateName makes a new name each time\)",
        ),
    ],
)
def test_what_is_no_object_is_named(text: str, said: str) -> None:
    with pytest.raises(ObjectError, match=f"^{said}$"):
        read_objects(text, "x.yaml")

"""The harness of the benchmarks: order, medians, ratios, what is kept and what is shown."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.__main__ import ALL
from benchmarks.harness import ROOT, Bench, Row, Sample, Side, seconds, table
from benchmarks.plot import HEIGHT, MARGIN, svg


def recorded(name: str, figures: list[float], order: list[str]) -> Side:
    """A side that takes these times, one after the other."""
    left = iter(figures)

    def side() -> Sample:
        order.append(name)
        return {"seconds": next(left)}

    return side


@pytest.fixture
def bench() -> Bench:
    return Bench("example", 3)


def test_sides_alternate(bench: Bench) -> None:
    order: list[str] = []
    bench.alternate({"a": recorded("a", [1, 2, 3], order), "b": recorded("b", [1, 2, 3], order)})
    assert order == ["a", "b", "b", "a", "a", "b"]


def test_ratio_is_of_medians(bench: Bench) -> None:
    bench.alternate({"a": recorded("a", [3, 90, 2], []), "b": recorded("b", [2, 1, 50], [])})
    assert (bench.median("a"), bench.median("b")) == (3, 2)
    bench.ratio("a", "b", 1.5)
    bench.ratio("a", "b", 1.5, strict=True)
    bench.ratio("a", "b", 1.4)
    assert [(row.figure, row.met) for row in bench.rows] == [(1.5, True), (1.5, False), (1.5, False)]


def test_every_repetition_is_kept(bench: Bench, tmp_path: Path) -> None:
    bench.alternate({"a": recorded("a", [3, 90, 2], []), "b": recorded("b", [2, 1, 50], [])})
    bench.ratio("a", "b", 1.0)
    kept = json.loads(bench.save(tmp_path / "results").read_text())
    assert [(each["side"], each["seconds"]) for each in kept["repetitions"]] == [
        ("a", 3), ("b", 2), ("b", 1), ("a", 90), ("a", 2), ("b", 50),
    ]  # fmt: skip
    assert kept["rows"] == [
        {
            "what": "a",
            "against": "b",
            "figure": 1.5,
            "unit": "",
            "target": 1.0,
            "strict": False,
            "met": False,
        }
    ]
    assert kept["machine"]["cpus"] >= 1
    assert {"k8sbootstrap", "commit", "python", "ansible-core", "kubernetes"} <= set(kept["versions"])


def test_table() -> None:
    rows = [
        Row("up", "ping", 0.954, "", 1.0),
        Row("up, far away", "near", 12.25, "round trips", 10),
        Row("us", "them", 1.0, "", 1.0, strict=True),
    ]
    assert table(rows).splitlines() == [
        "what         | against | ratio             | target           | met",
        "up           | ping    | 0.95              | ≤ 1              | yes",
        "up, far away | near    | 12.25 round trips | ≤ 10 round trips | NO",
        "us           | them    | 1.00              | < 1              | NO",
    ]


def test_plot_is_to_scale() -> None:
    drawn = ET.fromstring(svg("t", "hosts", "s", {"a": [(10, 5), (200, 20)], "b": [(200, 40)]}))
    first, second = (
        line.get("points", "").split() for line in drawn.iter("{http://www.w3.org/2000/svg}polyline")
    )
    (x, y), (far, half), (_, top) = (tuple(map(float, point.split(","))) for point in (*first, *second))
    bottom, left = HEIGHT - MARGIN, MARGIN
    assert top == MARGIN
    assert (far - left) / (x - left) == pytest.approx(20)
    assert (bottom - half, bottom - y) == (
        pytest.approx((bottom - top) / 2),
        pytest.approx((bottom - top) / 8),
    )


def test_seconds_of_a_call() -> None:
    calls: list[tuple[str, int]] = []
    sample = seconds(lambda text, *, number: calls.append((text, number)), "x", number=2)
    assert calls == [("x", 2)]
    assert sample["seconds"] >= 0


def test_all_are_run_and_described() -> None:
    files = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "def run(bench" in path.read_text()}
    assert set(ALL) == files
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    assert [name for name in ALL if f"`{name}`" not in page] == []

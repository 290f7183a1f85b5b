"""What real clusters answered while something was broken: recorded on lab hosts, named by the finding."""

import gzip
from pathlib import Path

import pytest

from k8sbootstrap.checks.doctor.causes import diagnose
from k8sbootstrap.survey.doctor import kept

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json.gz"))

OTHERS = {"dns-off-cluster": 3}
"""How many causes there were, where it was not one: an image can't be pulled, and a node is cordoned."""


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.name.removesuffix(".json.gz"))
def test_the_first_finding_of_a_real_cluster(file: Path) -> None:
    causes = diagnose(*kept.read(gzip.decompress(file.read_bytes()))).causes
    name = file.name.removesuffix(".json.gz")
    first = f"{causes[0].finding.check}-{causes[0].finding.host}" if causes else "healthy"
    assert first == name
    assert len(causes) <= OTHERS.get(name, 1), [cause.finding for cause in causes]


def test_there_are_records() -> None:
    assert len(RECORDED) > 12

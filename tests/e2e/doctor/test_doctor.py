"""Every way in `breaks` to break a cluster: doctor names the cause first, and its fix repairs it.

CI tries some of them, in test_cluster.py. All of them: `make e2e-doctor`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from breaks import (
    OTHERS,
    QUICK,
    Break,
    try_break,
    wait_until_well,
)
from clusters import THREE_MASTERS
from labs import Lab, make_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    for lab in make_lab(tmp_path_factory.mktemp("doctor"), *THREE_MASTERS.options):
        lab.k("up")
        yield lab


@pytest.mark.parametrize("broken", [*QUICK, *OTHERS], ids=lambda broken: f"{broken.finding} {broken.host}")
def test_the_cause_comes_first(lab: Lab, broken: Break) -> None:
    try_break(lab, broken)
    wait_until_well(lab)

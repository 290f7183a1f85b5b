"""Hooks of the end-to-end tests: root is needed, and a failure keeps what the hosts say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from labs import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("lab hosts need root")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """When a test fails, keep what its lab's hosts say."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed and call.when in {"setup", "call"}:
        for lab in (value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Lab)):
            try:
                lab.collect(item.name)
            except Exception as error:  # noqa: BLE001 - the test's own failure matters more
                print(f"what the hosts say could not be collected: {error}")  # noqa: T201

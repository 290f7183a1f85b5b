"""What counts as a module that the kernel has."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.k8sbootstrap.host import kernel


def test_a_folder_that_other_modules_make_too_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nf_tables makes /proc/sys/net/netfilter, and not one file of connection tracking in it."""
    shown = tmp_path / "netfilter" / Path(kernel._BUILT_IN["nf_conntrack"]).name
    monkeypatch.setattr(kernel, "_BUILT_IN", {"no_such_module": str(shown)})
    shown.parent.mkdir()
    assert not kernel.in_kernel("no_such_module")
    shown.touch()
    assert kernel.in_kernel("no_such_module")


@pytest.mark.parametrize(("name", "there"), [("proc", True), ("no_such_module", False)])
def test_file_systems_count_too(name: str, *, there: bool) -> None:
    assert kernel.in_kernel(name) is there

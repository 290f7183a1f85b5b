"""The list of checks as a page of the documentation, made from the checks themselves."""

from k8sbootstrap.checks import upgrade as upgrade_checks
from k8sbootstrap.checks.hosts import ACCESS_CHECKS, CHECKS

_INTRODUCTION = """\
# Preflight checks

`k8sbootstrap preflight` checks all hosts in parallel and changes nothing. `k8sbootstrap up` runs the same
checks before it changes anything. All checks run on all hosts, and all results are reported. If a
check fails, the exit code is 4.

If you know that a failure is harmless, you can ignore that check by its name: `k8sbootstrap preflight
--ignore NAME`, `k8sbootstrap up --ignore-preflight NAME`. There is no option to ignore all checks.

The other checks need `ssh`, `sudo` and `python`: if one of these fails on a host, the later checks are
skipped there.

| check | passes when |
|---|---|
"""


_UPGRADE = """
## Before an upgrade

If the running release is not that of cluster.yaml, `up` and `plan` also run these checks before anything is
changed ([Upgrades](upgrade.md)). You can ignore them by name like those above.

| check | passes when |
|---|---|
"""


def page() -> str:
    """The page docs/preflight.md, as Markdown."""
    rows = {check.name: check.description for checks in (ACCESS_CHECKS, CHECKS) for check in checks}
    upgrade = {check.name: check.description for check in upgrade_checks.CHECKS}
    return _INTRODUCTION + _table(rows) + _UPGRADE + _table(upgrade)


def _table(rows: dict[str, str]) -> str:
    return "".join(f"| `{name}` | {text} |\n" for name, text in rows.items())

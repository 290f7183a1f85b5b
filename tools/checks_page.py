"""The list of checks as a page of the documentation, made from the checks themselves."""

from k8sbootstrap.checks import upgrade as upgrade_checks
from k8sbootstrap.checks.hosts import ACCESS_CHECKS, CHECKS

_INTRODUCTION = """\
# Preflight checks

`k8sbootstrap preflight` looks at every host, in parallel, and changes nothing. `k8sbootstrap up` does the
same before it changes anything. All checks run on all hosts and all are reported; when any fails, the exit
code is 4.

A check that fails for a reason you know to be harmless can be ignored by its name: `k8sbootstrap preflight
--ignore NAME`, `k8sbootstrap up --ignore-preflight NAME`. Nothing ignores all of them.

Without `ssh`, `sudo` and `python` nothing can be seen on a host: where one of them fails, the later ones are
skipped.

| check | passes when |
|---|---|
"""


_UPGRADE = """
## Before an upgrade

Where `up` or `plan` finds another release running than that of cluster.yaml, these are checked too, before
anything is changed ([Upgrades](upgrade.md)). They are ignored by name as those above.

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

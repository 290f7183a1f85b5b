"""The table of exit codes: ``python -m tools.exit_codes_page > docs/exit-codes.md``."""

import sys

from k8sbootstrap import errors
from k8sbootstrap.cli.plan import CHANGES_EXIT_CODE

_HEAD = """\
# Exit codes

Generated from the errors with `python -m tools.exit_codes_page`; do not edit it by hand. On anything
but 0 the last lines on standard error say what went wrong and what to do next.

| code | meaning | error |
|---|---|---|
"""
_FIXED = (
    (0, "Everything that was asked for is done.", ""),
    (1, "An error that no other line covers, or a bug in k8sbootstrap.", "`K8sBootstrapError`"),
    (2, "The command line is wrong: unknown command or option, missing argument.", ""),
    (CHANGES_EXIT_CODE, "`plan --detailed-exitcode`: there are changes to make.", ""),
)


def error_classes() -> list[type[errors.K8sBootstrapError]]:
    """Every error that is raised on purpose, by exit code, in the order of their definition."""
    found = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.K8sBootstrapError)
    ]
    return sorted(found, key=lambda error: error.exit_code)


def exit_code_table() -> str:
    """The whole page."""
    rows = list(_FIXED)
    for error in error_classes():
        if error is not errors.K8sBootstrapError:
            meaning = (error.__doc__ or "").strip().splitlines()[0]
            rows.append((error.exit_code, meaning, f"`{error.__name__}`"))
    rows.sort(key=lambda row: row[0])
    return _HEAD + "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(exit_code_table())

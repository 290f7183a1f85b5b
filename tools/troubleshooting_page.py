"""What errors, checks and findings mean, and the fix.

``python -m tools.troubleshooting_page > docs/troubleshooting.md`` takes both from the docstring of the error,
or of the function that judges: the first paragraph, and the one that begins with "Fix:".
"""

import inspect
import sys
from collections.abc import Iterable, Iterator

from k8sbootstrap import errors
from k8sbootstrap.checks import upgrade
from k8sbootstrap.checks.cluster import ALL_CHECKS
from k8sbootstrap.checks.doctor import RULES
from k8sbootstrap.checks.framework import Check
from k8sbootstrap.checks.hosts import ACCESS_CHECKS, CHECKS
from tools.exit_codes_page import error_classes

_FIX = "Fix: "
_HEAD = """\
# Troubleshooting

Generated from the errors and checks with `python -m tools.troubleshooting_page`; do not edit it by hand.

- **A command ended with an error.** Its last lines say what went wrong, and after `Next:` what to do. More is
  below, by [exit code](#errors).
- **A check failed before anything was changed.** Look it up under [preflight](#preflight) or
  [before an upgrade](#before-an-upgrade).
- **The cluster does not do what it should.** Run `k8sbootstrap doctor`, and look up [the id](#doctor) that it
  prints.
- **A check of `verify` failed.** Look it up under [verify](#verify).
- **You need help.** `k8sbootstrap support` writes
  [an archive for somebody who helps](doctor.md#an-archive-for-somebody-who-helps).

After a failure run the same command again: it continues. With `-v` it prints more.
"""
_ERRORS = """
## Errors

The exit code of a command says what kind of error it was ([all exit codes](exit-codes.md)). Code 2 means that
the command line is wrong: `k8sbootstrap COMMAND --help` shows what is right. Code 1 is any other error. If
the message calls it a bug, run the command again with `-v`, and report what it prints.
"""
_PREFLIGHT = """
## Preflight

`k8sbootstrap preflight` and `up` run [these checks](preflight.md) on all hosts before anything is changed.
"""
_UPGRADE = """
## Before an upgrade

`up` and `plan` run these checks if the running release is not that of cluster.yaml ([upgrades](upgrade.md)).
"""
_VERIFY = """
## Verify

[`k8sbootstrap verify`](verify.md) runs these checks. A later failure often follows from the first one, so
repair that one first. `k8sbootstrap doctor` finds the cause of most of them.
"""
_DOCTOR = """
## Doctor

[`k8sbootstrap doctor`](doctor.md) prints these ids. Its own output is more exact than this page: it has names
and numbers, and the first finding is the cause of the others. "There" is the host that it names.
"""


def page() -> str:
    """The page docs/troubleshooting.md, as Markdown."""
    found = [error for error in error_classes() if error is not errors.K8sBootstrapError]
    return "".join(
        [
            _HEAD,
            _ERRORS,
            *_errors(found),
            _PREFLIGHT,
            *_checks((*ACCESS_CHECKS, *CHECKS)),
            _UPGRADE,
            *_checks(upgrade.CHECKS),
            _VERIFY,
            *(
                _entry(f"verify: {each.name}", f"Passes when {each.title}.", fix(each.judge))
                for each in ALL_CHECKS
            ),
            _DOCTOR,
            *(_entry(f"`{each.name}`", each.description, fix(each.judge)) for each in RULES),
        ]
    )


def fix(documented: object) -> str:
    """The paragraph of a docstring that says what to do.

    Args:
        documented: An error, or the function of a check.

    Raises:
        ValueError: It has no such paragraph.
    """
    paragraphs = (inspect.getdoc(documented) or "").split("\n\n")
    for paragraph in paragraphs:
        if paragraph.startswith(_FIX):
            return " ".join(paragraph.removeprefix(_FIX).split())
    raise ValueError(f'{documented}: its docstring has no paragraph that begins with "{_FIX.strip()}"')


def _errors(classes: Iterable[type[errors.K8sBootstrapError]]) -> Iterator[str]:
    for error in classes:
        meaning = (error.__doc__ or "").split("\n\n", 1)[0]
        yield _entry(f"Exit code {error.exit_code}: {error.__name__}", " ".join(meaning.split()), fix(error))


def _checks(checks: Iterable[Check]) -> Iterator[str]:  # type: ignore[type-arg]
    for check in checks:
        yield _entry(f"`{check.name}`", f"Passes when: {check.description}", fix(check.judge))


def _entry(heading: str, meaning: str, what_to_do: str) -> str:
    return f"\n### {heading}\n\n{meaning}\n\n**Fix:** {what_to_do}\n"


if __name__ == "__main__":
    sys.stdout.write(page())

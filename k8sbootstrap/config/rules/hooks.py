"""Rules about hooks."""

from collections.abc import Iterator

from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.rules.finding import Finding


def points(draft: Draft) -> Iterator[Finding]:
    """Every hook says when it runs."""
    for index, hook in draft.hooks.items():
        if not (hook.before or hook.after):
            yield Finding(
                ("hooks", index), "would never run", 'add "before: [PHASE]" or "after: [PHASE]", such as up'
            )


def programs(draft: Draft) -> Iterator[Finding]:
    """Every hook names a program."""
    for index, hook in draft.hooks.items():
        if not hook.command[0]:
            yield Finding(("hooks", index, "command", 0), "is empty", "name a program")

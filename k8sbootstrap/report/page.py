"""The report as HTML: one page that needs nothing but itself."""

from typing import Any

import jinja2

from k8sbootstrap.formats.text import printable
from k8sbootstrap.report.model import build_page
from k8sbootstrap.report.recorded import Recorded


def render(recorded: Recorded) -> str:
    """The page about a run.

    Everything that comes from the record is escaped, and the page forbids itself scripts and anything that
    would have to be loaded.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("k8sbootstrap.report"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2").render(page=build_page(recorded)).lstrip()


def _finalize(value: Any) -> Any:
    """Called with everything that the template writes; Markup is what macros have escaped already."""
    return printable(value) if type(value) is str else value

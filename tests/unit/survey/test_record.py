"""The program that looks at a host brings all that it imports."""

import json
import subprocess
import sys

from k8sbootstrap.survey import record


def test_it_runs_in_an_isolated_python_and_answers_in_its_form() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-"], input=record.script(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    found = record._FINDING.validate_json(done.stdout)
    assert json.loads(done.stdout)["cluster"] == found.cluster

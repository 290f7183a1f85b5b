"""Takes k8sbootstrap's work off a host."""

from __future__ import annotations

import os

from ansible.module_utils.k8sbootstrap.host.record import PATH, Record
from ansible.module_utils.k8sbootstrap.host.reset import Reset, ResetError
from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: host_reset
short_description: Takes off exactly what the host's record lists
options:
  cluster:
    description: Name of the cluster; a host that belongs to another one is left alone.
    type: str
    required: true
"""


@one_line
def main() -> None:
    """Run the module."""
    module = Module(argument_spec={"cluster": {"type": "str", "required": True}}, supports_check_mode=True)
    if not os.path.exists(PATH):
        module.exit_json(changed=False, changes=[])
    record = Record(module.check_mode)
    if record.data["cluster"] != module.params["cluster"]:
        module.fail_json(
            msg=f"this host belongs to cluster {record.data['cluster']!r}, not to "
            f"{module.params['cluster']!r}; nothing was removed. Reset it with the "
            "cluster.yaml of its own cluster."
        )
    if module.check_mode:
        module.exit_json(changed=True, changes=["reset"])
    reset = Reset(record)
    try:
        reset.run()
    except ResetError as error:
        module.fail_json(msg=str(error), changes=reset.done)
    module.exit_json(changed=True, changes=reset.done)


if __name__ == "__main__":
    main()

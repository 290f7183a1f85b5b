"""Reports what a host has of etcd."""

from __future__ import annotations

from ansible.module_utils.k8sbootstrap.host.record import Record
from ansible.module_utils.k8sbootstrap.kube.etcd import look
from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: etcd_look
short_description: Reports what a host has of etcd
description:
  - Whether it holds data, what its record says of its member, and what that member reports; changes nothing.
options:
  name: {description: Name of the member, type: str, required: true}
"""


@one_line
def main() -> None:
    """Run the module."""
    module = Module(argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True)
    report = look(Record(check_mode=True))
    module.exit_json(changed=False, name=module.params["name"], report=report)


if __name__ == "__main__":
    main()

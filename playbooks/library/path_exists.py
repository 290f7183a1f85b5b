"""Whether something is at a path of a host."""

from __future__ import annotations

import os

from ansible.module_utils.k8sbootstrap_module import Module, one_line

DOCUMENTATION = """
module: path_exists
short_description: Says whether a path exists
description:
  - Changes nothing. A link counts when what it points to is there.
options:
  path: {description: The path, type: str, required: true}
"""


@one_line
def main() -> None:
    """Run the module."""
    module = Module(argument_spec={"path": {"type": "str", "required": True}}, supports_check_mode=True)
    module.exit_json(changed=False, exists=os.path.exists(module.params["path"]))


if __name__ == "__main__":
    main()

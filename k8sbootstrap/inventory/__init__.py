"""The one place where configuration becomes Ansible variables.

``build.build_inventory`` makes a value of it, ``write.write_inventory`` writes that as a directory that
``ansible-playbook -i`` takes. Neither holds secrets, only paths to them.
"""

"""/etc/os-release of a host."""


def os_release(text: str) -> dict[str, str]:
    """The fields of the file by name, such as ``ID``; values are without their quotes."""
    lines = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in lines}

"""Says whether the API server of this master takes requests: exit code 0 if it does, 1 if it does not.

keepalived runs it every 2 seconds, as a user without rights. Its arguments are the port and the CA's file. An
API server that lets nobody ask without a certificate answers 401: it is there all the same.
"""

import socket
import ssl
import sys

SECONDS = 2.5
"""Less than keepalived waits for it."""
REQUEST = b"GET /readyz HTTP/1.1\r\nHost: kubernetes\r\nConnection: close\r\n\r\n"
WELL = (b"200", b"401", b"403")


def is_ready(port: int, authority: str) -> bool:
    """Whether the API server on this host answers that it is ready."""
    try:
        context = ssl.create_default_context(cafile=authority)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as link,
        ):
            link.sendall(REQUEST)
            words = link.recv(64).split(None, 2)
    except (OSError, ValueError):
        return False
    return len(words) > 1 and words[1] in WELL


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(sys.argv[1]), sys.argv[2]) else 1)

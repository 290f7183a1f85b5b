"""How many bytes are taken from servers and out of archives: far more than real files have."""

TEXT = 4 << 20
"""Checksums, manifests of images, tokens."""
DOCUMENT = 64 << 20
"""Manifests of objects, charts, and the index of a chart repository."""
PROGRAM = 1 << 30
"""A program, or the archive that programs come in."""
UNPACKED = 4 << 30
"""All that is in an archive of programs, when it is unpacked."""
IMAGE = 8 << 30
"""An image with all its parts."""

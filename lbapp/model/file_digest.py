"""What tells one text of a configuration file from another.

Responsible for the one digest that the control API, the console and `sha256sum` on another machine agree on. Knows nothing of
files. Invariant: it is that of the bytes in the file.
"""

from __future__ import annotations

import hashlib


def file_digest(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()

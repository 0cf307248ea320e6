"""Imported first by the portal's process, and by no other: keeps out what libraries load where they find it, and a portal never calls.

`httpx` brings its own command line, structlog colours for terminals (rich, pygments), botocore prefers pyOpenSSL where passkeys
brought it. Each library tries the import and goes on without; `None` in `sys.modules` is Python's way to say that there is none
(docs.python.org, "The import system", 5.3.1).
"""

import sys

UNUSED = ("httpx._main", "rich", "urllib3.contrib.pyopenssl")

for _name in UNUSED:
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type] # None stands for what cannot be imported.

"""Backup: the whole lab, copied while people work, encrypted to its administrators' keys; and a lab made anew from such a copy.

Promises: a backup is whole or is none, and a kill leaves the earlier ones as they were; the next run goes on from what was there;
what did not change is not read nor written again; nothing of the lab can be read without an administrator's identity, which needs
not be on the lab's machine; what was tampered with is refused, by name.

The format is in docs/administrator/backup.md. Layers, lowest first: `sealing` (keys, names, signatures), `places` (where the files
lie), `repository` (pieces, streams, manifests), `index` (what the lab remembers of earlier runs), `taking` and `giving` (a backup,
a restore).
"""

"""Prints, for a shell, the keys of a secret of the vault as exported variables. Reads VAULT_* from its environment."""

import json
import os
import re
import shlex
import sys
import urllib.request

address = os.environ["VAULT_ADDR"].rstrip("/")
parts = (os.environ.get("VAULT_TOP_DIR", ""), os.environ["VAULT_RELATIVE_PATH"])
path = "/".join(part.strip("/") for part in parts if part.strip("/"))
mount = os.environ.get("VAULT_MOUNT", "").strip("/") or "kv"
request = urllib.request.Request(
    f"{address}/v1/{mount}/data/{path}", headers={"X-Vault-Token": os.environ["VAULT_TOKEN"]}
)
with urllib.request.urlopen(request, timeout=20) as answer:
    secret = json.load(answer)["data"]["data"]
order = secret.pop(".onyxia", None)
names = [*(order or {}).get("keysOrdering", []), *secret] if isinstance(order, dict) else list(secret)
for name in dict.fromkeys(names):
    if name in secret and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        print(f"export {name}={shlex.quote(str(secret[name]))}")
    elif name in secret:
        print("start: one key of the secret cannot name a variable", file=sys.stderr)

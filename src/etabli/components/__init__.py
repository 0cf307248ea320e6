"""The supervised binaries of the embedded lab: Caddy, SeaweedFS, OpenBao, and our own portal and authoriser beside them.

`models` is the vocabulary, `plan` the file that a supervisor reads, `supervisor` the light process that starts, watches, heals and
stops; `versions` pins the binaries; each binary has a module that renders its configuration and makes its `Component`.
"""

"""The vault: tokens for projects and people, and the lab's own folder for what services were rendered with.

Promises: a token reaches the folder `kv/<slug>/` of who it was made for and nothing else; a service's token ends with the service;
what the lab keeps (`lab/`) is read by the lab alone.

Public names: `service.Vault`, `models.VaultToken`.
"""

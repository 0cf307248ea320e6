"""S3: a bucket per project at first use, temporary keys that renew themselves inside services, and what both need to be found.

Promises: rights are policies over the claims of our own tokens, so nothing is provisioned per person; keys live an hour at most and
only reach a service that proves itself from its own project's network; the lab's own key never leaves `client`.

Public names: `service.Storage`, `endpoint.CredentialEndpoint`, `client.Client`, `models`, `settings.StorageSettings`.
"""

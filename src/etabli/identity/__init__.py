"""Who people are, which projects they are in, and the tokens that open every door of the lab.

Promises: one issuer for S3, the vault, services and the API (`issuer`, `keys`); what one may not know answers as what does not
exist (`projects.require`); a slug is immutable and never reused; no secret is stored but as a hash, no password but as argon2id. A
clock that jumps closes what it must and opens nothing (`sessions.sweep`, `keys.tend`).

`service.Identity` holds the use cases by noun, and `main` builds it: `people`, `sessions`, `projects`, `invitations`,
`service_tokens`, `keys`, `issuer`, `clients`, `provider`, `outside`.
"""

"""What services run in: a folder of well-known files becomes a lock, the lock a digest, and the digest a tree, built once.

`service.Environments` holds the use cases. A tree is a relocatable folder (a Python environment, `bin`, `etc`, `share`), shown at
`sandbox.models.ENVIRONMENT_PATH` as the lower layer of an overlay: nothing is copied to start a service, and nothing that a service
does reaches the tree. It promises that a tree that is there is whole, that two builds of one digest never meet, and that the digest
of an environment whose lock is written is known without a network. It refuses files that it does not honour, by name.
"""

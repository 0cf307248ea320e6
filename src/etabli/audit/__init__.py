"""The audit log: who did what, to what, from where, and what came of it.

It only grows: each row holds the digest of the one before, so that a change made behind the lab's back shows (`verify`). Complete days
are copied to the lab's own bucket as JSON lines; only what was copied is ever removed, and only past the time that settings give. No
row holds a secret: what people type is never kept, only which thing was acted on.
"""

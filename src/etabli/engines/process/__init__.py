"""The embedded engine: what a chart rendered runs as sandboxes of this machine, without root, container engine or image.

`manifests.plan` reads rendered manifests into a frozen plan or refuses them by name; the plan is stored before anything starts; a
controller per service keeps the sandboxes as the plan says, and finds them again after any death of its own. `engine.ProcessEngine`
keeps the contract on top of these.
"""

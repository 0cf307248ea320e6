"""What people and programs see: pages, the JSON API, the live stream. A shell: it parses, calls one use case, shows.

It promises that a page never waits on an engine, that what one may not know of looks like what does not exist, that every form works
without JavaScript and carries a token of its session, and that a page of a service, although same-site, can do nothing here.
"""

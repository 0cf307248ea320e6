"""Services: what somebody launched from the catalogue, from the click to its end.

It promises that a service is stored with its id before anything starts, that a kill at any moment leaves one service and not two or
none, that who may not know of a service gets the answer of one that does not exist, and that what ends says so before. It knows of
charts, engines, tokens and the front door only through `ports.py` and `engines.contract`.
"""

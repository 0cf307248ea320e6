"""Who may reach which service through the front door: routes, one-time codes, cookies of service origins, and the authoriser.

`service.Door` is what the portal calls (publish, withdraw, mint_code, redeem); `authoriser` is a process of its own that only reads
and answers Caddy's `forward_auth`. It knows nothing of what a service is for.
"""

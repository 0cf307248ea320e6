"""Sign-in through outside providers, who only say who a person is: the lab alone says what they may do.

Promises: a token of a provider is never stored nor logged; what it says is believed only once its signature, issuer, audience, time
and nonce hold (`id_tokens`); an answer is good once, in the browser that asked (`attempts`); nobody gets an account of somebody
else by an e-mail that the provider did not verify, or that the account only typed (`service`). A provider that is down takes
nothing else with it.

| file | answers |
| --- | --- |
| `settings.py`, `presets.py` | which providers, who may enter, what their claims are called |
| `directory.py` | where a provider's endpoints and keys are, kept for a while (OpenID Connect Discovery 1.0) |
| `flow.py` | the way there and back: authorization code, PKCE, state, nonce, RFC 9207 |
| `id_tokens.py` | what a signed token says, or why it is not believed |
| `client_secrets.py` | the lab's own secrets there |
| `github.py` | GitHub, which has OAuth and an API, and no OpenID |
| `reading.py` | claims → what is said of a person, and whether they may enter |
| `service.py` | whose account that is: found, linked, made, unlinked |
"""

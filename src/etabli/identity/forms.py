"""Parameters of OAuth requests, each given once (RFC 6749 section 3.1: repeated ones are refused)."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from etabli.identity import errors

LONGEST_BODY = 16_384  # Bytes; a token request has a few hundred.
MOST_PARAMETERS = 40
FORM = "application/x-www-form-urlencoded"


def single(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """The parameters by name, empty ones left out (as the RFC asks). ProtocolError where one is repeated."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise errors.ProtocolError("invalid_request", "a parameter is given twice")
        if value:
            found[name] = value
    return found


def parse(body: bytes, content_type: str) -> Mapping[str, str]:
    """The parameters of a form. ProtocolError where it is not one."""
    if content_type.partition(";")[0].strip().lower() != FORM or len(body) > LONGEST_BODY:
        raise errors.ProtocolError("invalid_request", f"the body must be `{FORM}`")
    try:
        return single(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_PARAMETERS))
    except (UnicodeDecodeError, ValueError) as error:
        raise errors.ProtocolError("invalid_request", "the body is not a form") from error

"""The people of the access matrix, what each is answered, and the policies that most routes have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from etabli.identity.models import Role
from etabli.identity.token_models import SCOPES_OF_ROLE, Scope


class Who(StrEnum):
    """Who calls."""

    ANONYMOUS = "anonymous"
    STRANGER = "another member of the lab, who is not in the project"
    ADMIN = "an administrator, who is not in the project"
    VIEWER = "a viewer of the project"
    MEMBER = "a member of the project, whose things are asked for"
    OWNER = "an owner of the project"
    TOKEN = "the member's program, with the scope"
    TOKEN_WITHOUT = "the member's program, with every other scope"
    SERVICE_ACCOUNT = "a service account of the project, as a member"


class Outcome(StrEnum):
    """What the answer comes to."""

    IN = "let in"  # Or refused for another reason than who asks: a conflict, a wrong field.
    SIGN_IN = "led to sign in"
    FORBIDDEN = "403"
    NOT_FOUND = "404"


Policy = Mapping[Who, Outcome]
IN, SIGN_IN, FORBIDDEN, NOT_FOUND = Outcome.IN, Outcome.SIGN_IN, Outcome.FORBIDDEN, Outcome.NOT_FOUND
PROGRAMS = (Who.TOKEN, Who.TOKEN_WITHOUT, Who.SERVICE_ACCOUNT)


@dataclass(frozen=True)
class Route:
    """One line of the table. Texts may name things of the world, as `{project}`: the machinery fills them."""

    policy: Policy
    scopes: tuple[Scope, ...] = ()  # Of the API: any one of them lets a token in; without one, no token is let in.
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)  # Of a page; its CSRF token is added.
    json: Mapping[str, object] | None = None  # Of the API.
    path: Mapping[str, str] = field(default_factory=dict)  # Parameters of the path that are not things of the world.
    apart: Policy = field(default_factory=dict)  # Where this route differs from its policy.

    @property
    def owner(self) -> Who:
        """Whose program shows the token: the member's, but where only administrators have the scope."""
        return Who.ADMIN if Scope.ADMIN in self.scopes and len(self.scopes) == 1 else Who.MEMBER

    def outcome(self, who: Who, *, is_api: bool) -> Outcome:
        """What `who` is answered. Pages read no token: a program is nobody there."""
        if who in PROGRAMS and not is_api:
            return self.apart.get(Who.ANONYMOUS, self.policy[Who.ANONYMOUS])
        if who in self.apart:
            return self.apart[who]
        if who is Who.TOKEN:
            return self.outcome(self.owner, is_api=True) if self.scopes else FORBIDDEN
        if who is Who.SERVICE_ACCOUNT and self.owner is Who.ADMIN:
            return self.policy[Who.MEMBER]
        if who is Who.SERVICE_ACCOUNT and set(self.scopes) & set(SCOPES_OF_ROLE[Role.MEMBER]):
            return self.outcome(Who.MEMBER, is_api=True)
        if who in PROGRAMS:
            return FORBIDDEN
        return self.policy[who]


def everybody(outcome: Outcome, **apart: Outcome) -> Policy:
    """One outcome for all people, but those named apart."""
    people = {who: outcome for who in Who if who not in PROGRAMS}
    return {**people, **{Who[name]: value for name, value in apart.items()}}


def in_project(role: Role) -> Policy:
    """For people of the project who are at least `role` there; the others may not know of it."""
    ranked = ((Who.VIEWER, Role.VIEWER), (Who.MEMBER, Role.MEMBER), (Who.OWNER, Role.OWNER))
    inside = {who: IN if held.covers(role) else FORBIDDEN for who, held in ranked}
    return {Who.ANONYMOUS: SIGN_IN, Who.STRANGER: NOT_FOUND, Who.ADMIN: NOT_FOUND, **inside}


ANYONE = everybody(IN)
SIGNED_IN = everybody(IN, ANONYMOUS=SIGN_IN)
OWN = everybody(NOT_FOUND, ANONYMOUS=SIGN_IN, MEMBER=IN)  # A thing of the member's own.
ADMINS = everybody(NOT_FOUND, ANONYMOUS=SIGN_IN, ADMIN=IN)  # Pages that others may not know of.
ADMINS_KNOWN = everybody(FORBIDDEN, ANONYMOUS=SIGN_IN, ADMIN=IN)  # What others know of, and may not do.
EVERY = tuple(Scope)

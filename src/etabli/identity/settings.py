"""`[identity]` in `etabli.toml`: passwords, sessions, limits on sign-in, keys, data classes of projects, outside providers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from etabli.identity import models
from etabli.identity.outside.settings import ProviderSettings
from etabli.kernel.settings import Section


class DataClassEntry(Section):
    """`[[identity.data_classes]]`: which data a project may hold."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}$", description="Kept with each project that chose it.")
    name: dict[str, str] = Field(min_length=1, description="By language (`en`, `fr`): two or three words.")
    sentence: dict[str, str] = Field(
        default_factory=dict, description="By language: what it asks of whoever works there."
    )
    level: models.Level = Field(
        default=models.Level.QUIET, description="How loudly pages say it: `quiet`, `notice` or `warning`."
    )

    def read(self) -> models.DataClass:
        """As the other rooms know it."""
        return models.DataClass(id=self.id, name=self.name, sentence=self.sentence, level=self.level)


def _data_classes() -> list[DataClassEntry]:
    return [
        DataClassEntry(
            id="internal",
            name={"en": "Internal data", "fr": "Données internes"},
            sentence={
                "en": "No personal data here, and nothing leaves the institution.",
                "fr": "Aucune donnée personnelle ici, et rien ne sort de l’institution.",
            },
        ),
        DataClassEntry(
            id="open",
            name={"en": "Open data", "fr": "Données ouvertes"},
            sentence={
                "en": "Only data that anyone may read.",
                "fr": "Uniquement des données que tout le monde peut lire.",
            },
        ),
        DataClassEntry(
            id="personal",
            name={"en": "Personal data allowed", "fr": "Données personnelles autorisées"},
            sentence={
                "en": "Keep only what the work needs, and take no copy out of the project.",
                "fr": "Ne gardez que ce dont le travail a besoin, et n’en sortez aucune copie du projet.",
            },
            level=models.Level.NOTICE,
        ),
        DataClassEntry(
            id="sensitive",
            name={"en": "Sensitive data", "fr": "Données sensibles"},
            sentence={
                "en": "Covered by statistical or professional secrecy: check your authorisation before you work here.",
                "fr": "Couvertes par le secret statistique ou professionnel : vérifiez votre habilitation avant d’y travailler.",
            },
            level=models.Level.WARNING,
        ),
    ]


@dataclass(frozen=True)
class SignInPage:
    """Which ways into the lab there are, and in which order they are shown."""

    password_first: bool
    password_for_all: bool  # Else for administrators alone.


class IdentitySettings(Section):
    """How people prove who they are, and for how long it holds."""

    password_for: Literal["everyone", "administrators"] = Field(
        default="everyone",
        description="Who may sign in by password. `administrators`: they alone, for the day when no outside provider answers.",
    )
    password_first: bool = Field(
        default=False,
        description="Whether the sign-in page asks for the password before it names the outside providers.",
    )
    requests: bool = Field(
        default=False, description="Whether people outside may ask for an account, for an administrator to answer."
    )
    open_domains: tuple[str, ...] = Field(
        default=(),
        description="E-mail domains whose people make their account by a link sent to them, `insee.fr`; without `[mail]` they ask.",
    )
    asks_at_once: int = Field(default=20, ge=1, description="Requests for an account from one address in a row.")
    ask_pause_seconds: int = Field(default=60, ge=1, description="Seconds after which one more is allowed.")
    password_min_length: int = Field(
        default=12, ge=8, le=128, description="Characters that a new password has at least; NIST SP 800-63B asks for 8."
    )
    session_idle_hours: int = Field(
        default=24, ge=1, le=24 * 90, description="Hours after which a session that nobody uses ends."
    )
    session_idle_minutes: int | None = Field(
        default=None,
        ge=5,
        le=24 * 60,
        description="Minutes after which a session that nobody uses ends, with a warning two minutes before; empty: the hours alone.",
    )
    session_days: int = Field(
        default=14, ge=1, le=365, description="Days after which a session ends, however much it is used."
    )
    token_days: int = Field(
        default=365, ge=1, le=3650, description="Days that a token of a program lives at most; none lives for ever."
    )
    pair_failures: int = Field(
        default=10, ge=1, description="Failed sign-ins in a row for one person from one address before they must wait."
    )
    pair_pause_seconds: int = Field(
        default=30, ge=1, description="Seconds after which one more attempt for one person from one address is allowed."
    )
    account_failures: int = Field(
        default=50, ge=1, description="Failed sign-ins for one person from all addresses they never signed in from."
    )
    account_pause_seconds: int = Field(
        default=60, ge=1, description="Seconds after which one more attempt from such addresses is allowed."
    )
    address_failures: int = Field(
        default=100, ge=1, description="Failed sign-ins from one address, which a whole institution may share."
    )
    address_pause_seconds: int = Field(
        default=5, ge=1, description="Seconds after which one more attempt from one address is allowed."
    )
    second_factor: Literal["off", "optional", "administrators", "everyone"] = Field(
        default="optional",
        description="Who must show a second factor, codes or a passkey: `everyone`, `administrators`, who wants to (`optional`); "
        "`off`: codes cannot be turned on.",
    )
    code_failures: int = Field(
        default=10,
        ge=1,
        description="Wrong codes of a second factor for one person, from anywhere, before they must wait.",
    )
    code_pause_seconds: int = Field(
        default=300, ge=1, description="Seconds after which one more code of a second factor is allowed."
    )
    hash_memory_kib: int = Field(
        default=65536, ge=8192, description="Memory of one password hash, KiB (argon2id; RFC 9106's second choice)."
    )
    hash_passes: int = Field(default=3, ge=1, description="Passes over that memory.")
    hash_lanes: int = Field(default=4, ge=1, description="Lanes, computed in parallel, of one password hash.")
    hashes_at_once: int = Field(
        default=2, ge=1, le=64, description="Password hashes computed at the same time; others wait their turn."
    )
    key_days: int = Field(
        default=90, ge=1, description="Days that a signing key signs before the next one takes its place."
    )
    data_classes: list[DataClassEntry] = Field(
        default_factory=_data_classes,
        min_length=1,
        description="Which data a project may hold, in the order in which they are offered; the first is that of who chose none.",
    )

    @field_validator("data_classes")
    @classmethod
    def _each_once(cls, value: list[DataClassEntry]) -> list[DataClassEntry]:
        if len({one.id for one in value}) < len(value):
            raise ValueError("two data classes have one `id`")
        return value

    providers: list[ProviderSettings] = Field(
        default=[],
        description="Outside providers that say who people are; docs/administrator/sign-on.md has worked examples.",
    )

    @model_validator(mode="after")
    def _ways_in(self) -> Self:
        ids = [one.id for one in self.providers]
        if twice := next((one for one in ids if ids.count(one) > 1), None):
            raise ValueError(f"two providers have the id `{twice}`")
        if self.password_for == "administrators" and not ids:
            raise ValueError("`password_for` may be `administrators` where a provider lets the others in")
        return self

    @property
    def sign_in_page(self) -> SignInPage:
        """How the sign-in page offers the ways in."""
        return SignInPage(password_first=self.password_first, password_for_all=self.password_for == "everyone")

    @property
    def session_idle(self) -> timedelta:
        """How long a session lasts without use."""
        hours = timedelta(hours=self.session_idle_hours)
        return hours if self.session_idle_minutes is None else min(hours, timedelta(minutes=self.session_idle_minutes))

    @property
    def session_length(self) -> timedelta:
        """How long a session lasts at most."""
        return timedelta(days=self.session_days)

    @property
    def key_period(self) -> timedelta:
        """How long a signing key signs."""
        return timedelta(days=self.key_days)

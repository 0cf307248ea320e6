"""`[identity]` in `etabli.toml`: passwords, sessions, limits on sign-in, keys."""

from datetime import timedelta

from pydantic import Field

from etabli.kernel.settings import Section


class IdentitySettings(Section):
    """How people prove who they are, and for how long it holds."""

    password_min_length: int = Field(
        default=12, ge=8, le=128, description="Characters that a new password has at least; NIST SP 800-63B asks for 8."
    )
    session_idle_hours: int = Field(
        default=24, ge=1, le=24 * 90, description="Hours after which a session that nobody uses ends."
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

    @property
    def session_idle(self) -> timedelta:
        """How long a session lasts without use."""
        return timedelta(hours=self.session_idle_hours)

    @property
    def session_length(self) -> timedelta:
        """How long a session lasts at most."""
        return timedelta(days=self.session_days)

    @property
    def key_period(self) -> timedelta:
        """How long a signing key signs."""
        return timedelta(days=self.key_days)

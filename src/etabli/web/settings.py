"""`[branding]`: what makes the lab's pages an institution's own."""

from pydantic import Field, field_validator

from etabli.kernel.settings import Section


class BrandLink(Section):
    """`[[branding.header]]` or `[[branding.footer]]`: a link to a page of the institution's."""

    text: dict[str, str] = Field(description="By language (`en`, `fr`).")
    url: str = Field(max_length=2000, description="An `https:` or `http:` address, or a path of the lab's own.")

    @field_validator("url")
    @classmethod
    def _leads_to_a_page(cls, value: str) -> str:
        is_path = value.startswith("/") and not value.startswith(("//", "/\\"))
        if not is_path and not value.startswith(("https://", "http://")):
            raise ValueError("an address that begins with https:// or http://, or a path such as /help/")
        return value


class BrandingSettings(Section):
    """`[branding]`. Read again while the lab runs: a change shows within seconds."""

    accent: str = Field(
        default="",
        pattern="^(#[0-9a-fA-F]{6})?$",
        description="The one colour of buttons and links, `#rrggbb`; empty: the lab's own blue. Corrected where it cannot be read.",
    )
    folder: str = Field(
        default="branding",
        pattern=r"^branding[a-z0-9.-]{0,40}$",
        description="The folder beside this file with `logo.svg` or `logo.png`, and `home.en.md`, `home.fr.md`: what home says.",
    )
    header: list[BrandLink] = Field(
        default_factory=list, max_length=8, description="Links beside the navigation: trainings, a community space…"
    )
    footer: list[BrandLink] = Field(default_factory=list, max_length=8, description="Links at the foot of each page.")
    contact: str = Field(
        default="",
        max_length=254,
        description="Whom people write to, of what does not work or is not accessible: an e-mail address.",
    )

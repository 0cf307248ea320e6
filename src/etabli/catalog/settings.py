"""`[catalog]`: which catalogues there are and what rendering a chart may cost."""

from pydantic import Field

from etabli.kernel.settings import Section

BUILTIN = "builtin"


class CatalogEntry(Section):
    """`[[catalog.catalogs]]`: one catalogue."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Names it in addresses and launch links.")
    name: dict[str, str] = Field(default_factory=dict, description="By language (`en`, `fr`); empty: the id.")
    description: dict[str, str] = Field(default_factory=dict, description="By language.")
    maintainer: str = Field(default="", description="Whom to write to.")
    location: str = Field(
        description="A folder of charts, the address of a repository (where `index.yaml` lies), or `builtin`."
    )
    status: str = Field(default="PROD", pattern="^(PROD|TEST)$", description="`TEST`: only its address leads there.")
    highlighted: list[str] = Field(default_factory=list, description="Charts shown first, in this order.")
    excluded: list[str] = Field(default_factory=list, description="Charts left out.")
    include_keywords: list[str] = Field(default_factory=list, description="Keep charts with one of these; empty: all.")
    exclude_keywords: list[str] = Field(default_factory=list, description="Leave out charts with one of these.")
    max_versions: int = Field(default=20, ge=1, description="How many versions of a chart are offered.")
    timeout: float = Field(default=10.0, gt=0, description="Seconds that a repository has for each answer.")


class RenderingSettings(Section):
    """`[catalog.rendering]`: the walls around templates that other people wrote."""

    seconds: float = Field(default=10.0, gt=0, description="Seconds of clock that one rendering may take.")
    memory_mib: int = Field(default=1024, ge=256, description="Memory of the worker above what Helm itself maps, MiB.")
    output_mib: int = Field(default=4, ge=1, description="What one chart may render to, MiB.")
    idle_seconds: float = Field(default=60.0, gt=0, description="Seconds after which an unused worker ends.")


class CatalogSettings(Section):
    """`[catalog]`."""

    catalogs: list[CatalogEntry] = Field(
        default_factory=lambda: [
            CatalogEntry(
                id="ide",
                name={"en": "Interactive services", "fr": "Services interactifs"},
                description={"en": "Notebooks and editors", "fr": "Carnets et éditeurs"},
                location=BUILTIN,
            )
        ],
        description="The catalogues, in the order in which they are shown.",
    )
    refresh_seconds: float = Field(default=300.0, ge=10, description="Seconds between two readings of the catalogues.")
    schemas: str = Field(default="", description="A folder of schemas that stand before those of the lab; empty: none.")
    role_schemas: str = Field(
        default="", description="A folder with one folder of schemas for each role, before all others; empty: none."
    )
    rendering: RenderingSettings = Field(default_factory=RenderingSettings, description="Limits of rendering.")

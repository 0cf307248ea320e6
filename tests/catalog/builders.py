"""Charts, catalogues and contexts that tests are made of: small, real, in folders."""

import json
from collections.abc import Mapping
from pathlib import Path

import httpx

from etabli.catalog import context, settings
from etabli.catalog.service import Catalog
from etabli.kernel.clock import SystemClock

BUILTIN = Path(__file__).parents[2] / "charts"

SLIDERS = {
    "cpu": {"sliderMin": 50, "sliderMax": 4000, "sliderStep": 50, "sliderUnit": "m"},
    "memory": {"sliderMin": 0.5, "sliderMax": 16, "sliderStep": 0.5, "sliderUnit": "Gi"},
    "disk": {"sliderMin": 1, "sliderMax": 50, "sliderStep": 1, "sliderUnit": "Gi"},
}


def a_context(*, lang: str = "en", service_id: str = "abcdefghjk") -> context.Context:
    """Ada, in her own project, on a machine of 4 cores and 16 GiB."""
    return context.Context(
        user=context.User(idep="ada", name="Ada Lovelace", email="ada@example.org", lang=lang, dark_mode=False),
        project=context.Project(id="ada"),
        git=context.Git(name="Ada Lovelace", email="ada@example.org", credentials_cache_duration=3600),
        vault=context.Vault(address="http://vault.etabli.localhost", mount="kv", top_dir="ada"),
        s3=context.S3(region="eu-west-3", endpoint="s3.etabli.localhost", bucket="ada", port=8000),
        region=context.Region(
            sliders=SLIDERS,
            resources={"cpuRequest": "100m", "cpuLimit": "4", "memoryRequest": "512Mi", "memoryLimit": "16Gi"},
        ),
        k8s=context.K8s(domain="svc.etabli.localhost", random_subdomain=service_id),
    )


def a_chart(
    folder: Path,
    name: str = "demo",
    *,
    version: str = "1.0.0",
    values: str = "",
    schema: Mapping[str, object] | None = None,
    templates: Mapping[str, str] | None = None,
    more: str = "",
) -> Path:
    """A chart's folder; without templates it renders one ConfigMap that holds all values."""
    chart = folder / name
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: {version}\n{more}")
    (chart / "values.yaml").write_text(values)
    if schema is not None:
        (chart / "values.schema.json").write_text(json.dumps(schema))
    written = templates or {"all.yaml": CONFIG_MAP}
    for file, text in written.items():
        (chart / "templates" / file).write_text(text)
    return chart


CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  values: {{ .Values | toJson | quote }}
"""


def a_catalog(
    cache: Path,
    *locations: Path | str,
    http: httpx.AsyncClient,
    rendering: settings.RenderingSettings | None = None,
    schemas: str = "",
) -> Catalog:
    """A catalogue for each location, `c0`, `c1`…; the built-in one, `ide`, where there is none. Nothing is read yet."""
    entries = [settings.CatalogEntry(id=f"c{n}", location=str(place)) for n, place in enumerate(locations)]
    config = settings.CatalogSettings(
        **({"catalogs": entries} if entries else {}),
        rendering=rendering or settings.RenderingSettings(),
        schemas=schemas,
    )
    return Catalog(config, builtin=BUILTIN, cache=cache, http=http, clock=SystemClock())

"""Catalogues, for administrators: where they come from, when they were read, which charts cannot be used and why."""

from etabli.catalog import models as catalog
from etabli.catalog.service import Catalog
from etabli.identity import models
from etabli.identity.people import require_admin
from etabli.kernel import errors


class Catalogs:
    """Every catalogue, those that are not listed too."""

    def __init__(self, *, catalog: Catalog) -> None:
        self._catalog = catalog

    async def list(self, *, by: models.User) -> tuple[catalog.Listing, ...]:
        """As they are known now."""
        require_admin(by)
        return await self._catalog.listings()

    async def refresh(self, *, by: models.User, catalog_id: str) -> catalog.Listing:
        """Read one again now; a failure is told in what is answered. NotFound where there is none of that name."""
        require_admin(by)
        await self._get(catalog_id)
        await self._catalog.refresh(catalog_id)
        return await self._get(catalog_id)

    async def _get(self, catalog_id: str) -> catalog.Listing:
        for listing in await self._catalog.listings():
            if listing.id == catalog_id:
                return listing
        raise errors.NotFound("there is no such catalogue")

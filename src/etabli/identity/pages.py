"""The OpenID provider's one interactive page: `/oidc/authorize`, which sends the browser on. `web` says who is signed in."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from etabli.identity import errors, forms, models
from etabli.identity.provider import Provider

CurrentUser = Callable[..., Awaitable[models.User | None]]


def router(provider: Provider, *, current_user: CurrentUser, sign_in: Callable[[Request], Response]) -> APIRouter:
    """The page. `current_user` is a dependency that says who is signed in, None for nobody; `sign_in` answers a request of nobody:
    it sends them to sign in, and back here after.

    An application or an address that is not known is raised as NotFound or Invalid, for `web` to show.
    """
    routes = APIRouter()

    @routes.get("/oidc/authorize", include_in_schema=False)
    async def authorize(request: Request, user: Annotated[models.User | None, Depends(current_user)]) -> Response:
        try:
            asked = await provider.check(forms.single(request.query_params.multi_items()))
            if user is not None:
                return _send(await provider.authorize(request=asked, user=user))
            if asked.silent:
                raise provider.nobody(asked)
        except errors.RefusedBack as error:
            return _send(error.location)
        return sign_in(request)

    return routes


def _send(location: str) -> Response:
    # The code is in the address: it must not stay in a cache, nor go on to another site.
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(location, status_code=303, headers=headers)

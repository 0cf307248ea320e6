"""What people are told by e-mail without having asked: worked out from what is stored, told once, again and again looked at.

Nothing is remembered between two looks but the keys of what was told, so that a kill loses nothing.
"""

from etabli.identity import models
from etabli.kernel import errors
from etabli.mail.models import Notice
from etabli.web import letters
from etabli.web.rendering import Renderer
from etabli.web.rooms import Rooms


async def look(rooms: Rooms, renderer: Renderer) -> None:
    """Keep a message for each thing that is to be told and was not, then send what is due."""
    if not rooms.mail.is_set_up:
        return
    await _of_services(rooms, renderer)
    await _of_requests(rooms, renderer)
    await rooms.mail.deliver()


async def _of_services(rooms: Rooms, renderer: Renderer) -> None:
    """To whoever launched a service that ends soon."""
    ending = {
        f"{Notice.SERVICE_ENDS} {service.id} {service.expires_at.isoformat()}": service
        for service in await rooms.services.ending()
        if service.expires_at is not None
    }
    for key in ending.keys() - await rooms.mail.told(keys=ending.keys()):
        service = ending[key]
        try:
            owner = await rooms.identity.people.get(user_id=service.owner_id)
        except errors.NotFound:
            continue  # A service account has no mailbox.
        if not await _wants(rooms, owner, Notice.SERVICE_ENDS):
            continue
        address = f"{rooms.lab.origin}/services/{service.id}"
        await _tell(rooms, renderer, "service_ends", owner, key=key, service=service, address=address)


async def _of_requests(rooms: Rooms, renderer: Renderer) -> None:
    """To each administrator, of each request for an account."""
    administrators = await rooms.identity.people.administrators()
    requests = await rooms.identity.requests.waiting()
    by_key = {
        f"{Notice.ACCOUNT_ASKED} {request.id} {person.id}": (request, person)
        for request in requests
        for person in administrators
    }
    for key in by_key.keys() - await rooms.mail.told(keys=by_key.keys()):
        request, person = by_key[key]
        if await _wants(rooms, person, Notice.ACCOUNT_ASKED):
            address = f"{rooms.lab.origin}/admin/invitations"
            await _tell(rooms, renderer, "account_asked", person, key=key, request=request, address=address)


async def _wants(rooms: Rooms, person: models.User, notice: Notice) -> bool:
    return bool(person.email) and notice not in await rooms.mail.unwanted(user_id=person.id)


async def _tell(
    rooms: Rooms, renderer: Renderer, template: str, person: models.User, *, key: str, **context: object
) -> None:
    assert person.email is not None  # `_wants` asked.
    message = letters.write(
        renderer, template, to=person.email, code=person.language, context={"person": person, **context}
    )
    await rooms.mail.keep(key=key, message=message)

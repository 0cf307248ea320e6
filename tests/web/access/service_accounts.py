"""Routes of a project's service accounts: owners', and no program's."""

from etabli.identity.models import Role
from tests.web.access.rules import Route, in_project

PAGE = "/projects/{slug}/service-accounts"
API = f"/api/v1{PAGE}"
OWNERS = in_project(Role.OWNER)
TOKEN = {"token_id": "{account_token_id}"}
FORM = {"name": "X", "days": "7"}

ROUTES = {
    f"GET {PAGE}": Route(OWNERS),
    f"POST {PAGE}": Route(OWNERS, form={"name": "another", "role": "member"}),
    f"POST {PAGE}/{{account_id}}/end": Route(OWNERS),
    f"POST {PAGE}/{{account_id}}/tokens": Route(OWNERS, form=FORM),
    f"POST {PAGE}/{{account_id}}/tokens/{{token_id}}/end": Route(OWNERS, path=TOKEN),
    f"GET {API}": Route(in_project(Role.VIEWER)),
    f"POST {API}": Route(OWNERS, json={"name": "another"}),
    f"DELETE {API}/{{account_id}}": Route(OWNERS),
    f"GET {API}/{{account_id}}/tokens": Route(OWNERS),
    f"POST {API}/{{account_id}}/tokens": Route(OWNERS, json={"name": "X"}),
    f"DELETE {API}/{{account_id}}/tokens/{{token_id}}": Route(OWNERS, path=TOKEN),
}

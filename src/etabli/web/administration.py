"""The administrators' part of the web: every page and every group of the API's routes that is not there for anybody else."""

from etabli.web.api import admin_audit as audit_api
from etabli.web.api import admin_backups as backups_api
from etabli.web.api import admin_entry as entry_api
from etabli.web.pages import admin_audit, admin_invitations

PAGES = (admin_audit, admin_invitations)
API = (audit_api, backups_api, entry_api)

"""The administrators' part of the web: every page and every group of the API's routes that is not there for anybody else. What
everybody has of the same subjects stands beside: putting an announcement away, one's own usage.
"""

from etabli.web.api import account_usage as account_usage_api
from etabli.web.api import admin_announcements as announcements_api
from etabli.web.api import admin_audit as audit_api
from etabli.web.api import admin_backups as backups_api
from etabli.web.api import admin_entry as entry_api
from etabli.web.api import admin_machine as machine_api
from etabli.web.api import admin_people as people_api
from etabli.web.api import admin_providers as providers_api
from etabli.web.api import admin_resets as resets_api
from etabli.web.api import admin_services as services_api
from etabli.web.api import admin_terms as terms_api
from etabli.web.api import admin_usage as usage_api
from etabli.web.pages import (
    account_usage,
    admin_announcements,
    admin_audit,
    admin_backups,
    admin_branding,
    admin_catalogs,
    admin_invitations,
    admin_machine,
    admin_people,
    admin_projects,
    admin_services,
    admin_terms,
    admin_usage,
    announcements,
)

PAGES = (
    admin_people,
    admin_invitations,
    admin_projects,
    admin_services,
    admin_catalogs,
    admin_machine,
    admin_backups,
    admin_usage,
    admin_announcements,
    admin_terms,
    admin_branding,
    admin_audit,
    account_usage,
    announcements,
)
API = (
    people_api,
    entry_api,
    resets_api,
    providers_api,
    terms_api,
    services_api,
    machine_api,
    usage_api,
    announcements_api,
    backups_api,
    audit_api,
    account_usage_api,
)

"""The administrators' part of the web: every page and every group of the API's routes that is not there for anybody else."""

from etabli.web.api import admin_audit as audit_api
from etabli.web.pages import admin_audit

PAGES = (admin_audit,)
API = (audit_api,)

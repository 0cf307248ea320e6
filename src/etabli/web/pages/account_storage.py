"""Where files and secrets of the chosen project are, and what to write to reach them; no key is shown or made here."""

from fastapi import Request
from starlette.responses import Response

from etabli.secrets import service as secrets
from etabli.web import shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router()

# Each as it is written in a service of whatever project: its bucket and its folder are found by variables.
TABLES = """\
import os
path = f"s3://{os.environ['ETABLI_BUCKET']}/start-here/flights.parquet"

import pandas as pd
pd.read_parquet(path)

import polars as pl
pl.scan_parquet(path).select("carrier").collect()

import duckdb
duckdb.sql(f"select count(*) from '{path}'")

import pyarrow.parquet as pq
pq.read_table(path)
"""
FILES = """\
import os, boto3, s3fs
bucket = os.environ["ETABLI_BUCKET"]

s3fs.S3FileSystem().ls(bucket)
boto3.client("s3").upload_file("local.csv", bucket, "data/local.csv")
boto3.client("s3").download_file(bucket, "data/local.csv", "copy.csv")
"""
SHELL = """\
pip install awscli
aws s3 ls "s3://$ETABLI_BUCKET/"
aws s3 cp local.csv "s3://$ETABLI_BUCKET/data/"
"""
VAULT = """\
import os, hvac

vault = hvac.Client()
folder, mount = os.environ["VAULT_TOP_DIR"], os.environ["VAULT_MOUNT"]
kv = vault.secrets.kv.v2
path = f"{folder}/database"
kv.create_or_update_secret(path, {"DB_PASSWORD": "…"}, mount_point=mount)
kept = kv.read_secret_version(path, mount_point=mount, raise_on_deleted_version=True)
kept["data"]["data"]
"""
HANDED = """\
import os, boto3

file = {"Bucket": os.environ["ETABLI_BUCKET"], "Key": "data/local.csv"}
boto3.client("s3").generate_presigned_url("get_object", Params=file, ExpiresIn=600)
"""


@router.get("/account/storage")
async def account_storage_page(request: Request, found: Person) -> Response:
    """Files and secrets of the chosen project, from a service and from outside."""
    rooms: Rooms = request.app.state.rooms
    context = {
        "project": found.project.project,
        "endpoint": rooms.lab.s3_origin,
        "region": rooms.s3_region,
        "vault": rooms.lab.vault_origin,
        "mount": secrets.MOUNT,
        "snippets": {"tables": TABLES, "files": FILES, "shell": SHELL, "vault": VAULT, "handed": HANDED},
    }
    return shell.page(request, found, "account/storage.html", context)

"""DuckDB, after what a service's start does once for its home: a stored secret that says how to ask for keys."""

import os

import duckdb
from duckdb_extensions import import_extension

for extension in ("httpfs", "aws"):
    import_extension(extension)
    duckdb.sql(f"load {extension}")
duckdb.sql(
    f"""create or replace persistent secret lab (type s3, provider credential_chain, endpoint '{os.environ["AWS_S3_ENDPOINT"]}',
    url_style 'path', use_ssl false, region '{os.environ["AWS_REGION"]}', refresh auto)"""
)


def turn(number: int, bucket: str) -> int:
    duckdb.sql(f"copy (select {number} as turn) to 's3://{bucket}/duckdb.parquet'")
    assert duckdb.sql(f"from 's3://{bucket}/duckdb.parquet'").fetchall() == [(number,)]
    return duckdb.sql(f"select count(*) from 's3://{bucket}/start-here/flights.parquet'").fetchall()[0][0]

"""What people write with each tool, with no endpoint, key or option, in one process for as long as its keys are renewed.

Run inside a service. For each turn it waits for the file `go-N` in the home folder, lets every tool write and read, and leaves
`done-N`: a line for each tool, `well` or what it raised.
"""

import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import boto3
import duckdb
import pandas
import polars
import pyarrow
import pyarrow.fs
import pyarrow.parquet
import s3fs

BUCKET, HOME = os.environ["ETABLI_BUCKET"], Path.home()
CLIENT, FILES, ARROW = boto3.client("s3"), s3fs.S3FileSystem(), pyarrow.fs.S3FileSystem()


def with_boto3(turn: int) -> bool:
    CLIENT.put_object(Bucket=BUCKET, Key="boto3", Body=str(turn).encode())
    return bool(CLIENT.get_object(Bucket=BUCKET, Key="boto3")["Body"].read() == str(turn).encode())


def with_s3fs(turn: int) -> bool:
    with FILES.open(f"{BUCKET}/s3fs", "w") as file:
        file.write(str(turn))
    return bool(FILES.cat_file(f"{BUCKET}/s3fs") == str(turn).encode())


def with_pandas(turn: int) -> bool:
    pandas.DataFrame({"turn": [turn]}).to_parquet(f"s3://{BUCKET}/pandas.parquet")
    return list(pandas.read_parquet(f"s3://{BUCKET}/pandas.parquet").turn) == [turn]


def with_polars(turn: int) -> bool:
    polars.DataFrame({"turn": [turn]}).write_parquet(f"s3://{BUCKET}/polars.parquet")
    return polars.scan_parquet(f"s3://{BUCKET}/polars.parquet").collect()["turn"].to_list() == [turn]


def with_pyarrow(turn: int) -> bool:
    pyarrow.parquet.write_table(pyarrow.table({"turn": [turn]}), f"s3://{BUCKET}/pyarrow.parquet")
    return pyarrow.parquet.read_table(f"s3://{BUCKET}/pyarrow.parquet")["turn"].to_pylist() == [turn]


def with_a_bare_file_system(turn: int) -> bool:
    with ARROW.open_output_stream(f"{BUCKET}/arrow") as file:
        file.write(str(turn).encode())
    with ARROW.open_input_stream(f"{BUCKET}/arrow") as file:
        return bool(file.read() == str(turn).encode())


def with_duckdb(turn: int) -> bool:
    duckdb.sql(f"copy (select {turn} as turn) to 's3://{BUCKET}/duckdb.parquet'")
    return duckdb.sql(f"from 's3://{BUCKET}/duckdb.parquet'").fetchall() == [(turn,)]


TOOLS: tuple[Callable[[int], bool], ...] = (
    *(with_boto3, with_s3fs, with_pandas, with_polars, with_pyarrow),
    *(with_a_bare_file_system, with_duckdb),
)


def work(tool: Callable[[int], bool], turn: int) -> str:
    try:
        return "well" if tool(turn) else "something else came back"
    except Exception:  # noqa: BLE001 - Told in the file, where the test reads it.
        return traceback.format_exc().replace("\n", " | ")


def main(turns: int) -> None:
    for turn in range(turns):
        while not (HOME / f"go-{turn}").exists():
            time.sleep(0.2)
        told = "".join(f"{tool.__name__}: {work(tool, turn)}\n" for tool in TOOLS)
        (HOME / f"part-{turn}").write_text(told)
        (HOME / f"part-{turn}").rename(HOME / f"done-{turn}")


main(4)

"""pyarrow, by address. A bare `S3FileSystem()` asks for a sitecustomize: that is the environments'."""

import pyarrow
import pyarrow.parquet


def turn(number: int, bucket: str) -> int:
    pyarrow.parquet.write_table(pyarrow.table({"turn": [number]}), f"s3://{bucket}/pyarrow.parquet")
    assert pyarrow.parquet.read_table(f"s3://{bucket}/pyarrow.parquet")["turn"].to_pylist() == [number]
    return pyarrow.parquet.read_table(f"s3://{bucket}/start-here/flights.parquet", columns=["carrier"]).num_rows

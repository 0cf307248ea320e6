"""obstore, the object_store of Rust that many newer tools share."""

import io
import os

import obstore
import pyarrow.parquet
from obstore.store import S3Store

store = S3Store(os.environ["ETABLI_BUCKET"])


def turn(number: int, bucket: str) -> int:
    obstore.put(store, "obstore", str(number).encode())
    assert bytes(obstore.get(store, "obstore").bytes()) == str(number).encode()
    body = bytes(obstore.get(store, "start-here/flights.parquet").bytes())
    return pyarrow.parquet.read_metadata(io.BytesIO(body)).num_rows

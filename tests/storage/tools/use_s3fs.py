"""s3fs, as dask and others use it."""

import pyarrow.parquet
import s3fs


def turn(number: int, bucket: str) -> int:
    fs = s3fs.S3FileSystem()
    with fs.open(f"{bucket}/s3fs.txt", "w") as file:
        file.write(str(number))
    assert fs.cat_file(f"{bucket}/s3fs.txt") == str(number).encode()
    with fs.open(f"s3://{bucket}/start-here/flights.parquet") as file:
        return pyarrow.parquet.ParquetFile(file).metadata.num_rows

"""boto3."""

import io

import boto3
import pyarrow.parquet

s3 = boto3.client("s3")


def turn(number: int, bucket: str) -> int:
    s3.put_object(Bucket=bucket, Key="boto3", Body=str(number).encode())
    assert s3.get_object(Bucket=bucket, Key="boto3")["Body"].read() == str(number).encode()
    body = s3.get_object(Bucket=bucket, Key="start-here/flights.parquet")["Body"].read()
    return pyarrow.parquet.read_metadata(io.BytesIO(body)).num_rows

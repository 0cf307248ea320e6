"""pandas."""

import pandas


def turn(number: int, bucket: str) -> int:
    flights = pandas.read_parquet(f"s3://{bucket}/start-here/flights.parquet", columns=["carrier", "dep_delay"])
    flights.groupby("carrier").mean().assign(turn=number).to_parquet(f"s3://{bucket}/pandas.parquet")
    assert set(pandas.read_parquet(f"s3://{bucket}/pandas.parquet").turn) == {number}
    return len(flights)

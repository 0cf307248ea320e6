"""polars."""

import polars


def turn(number: int, bucket: str) -> int:
    flights = polars.scan_parquet(f"s3://{bucket}/start-here/flights.parquet").select("carrier", "dep_delay").collect()
    flights.group_by("carrier").mean().with_columns(turn=number).write_parquet(f"s3://{bucket}/polars.parquet")
    assert set(polars.read_parquet(f"s3://{bucket}/polars.parquet")["turn"]) == {number}
    return len(flights)

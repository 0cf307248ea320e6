"""What people write in a notebook, one tool each, with no endpoint, key or option: `work.py TOOL`.

Runs in the interpreter that has the tools. Reads the sample, writes a result, reads it back; once for each line on standard input, in
one process; says `done N` each time, or the error.
"""

import importlib
import os
import sys
import traceback

ROWS = 336_776


def main(name: str) -> None:
    bucket, tool = os.environ["ETABLI_BUCKET"], None
    for number, _ in enumerate(sys.stdin):
        try:
            tool = tool or importlib.import_module(f"use_{name}")
            rows = tool.turn(number, bucket)
            assert rows == ROWS, rows
            print("done", number, flush=True)
        except Exception:  # noqa: BLE001 - Said on the pipe, where the test reads it.
            print(f"failed {number}:", traceback.format_exc().replace("\n", " | "), flush=True)


main(sys.argv[1])

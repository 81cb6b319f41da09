"""What schemathesis needs to know to send lines of JSON, and files."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send a value as one line of JSON."""
    return json.dumps(value).encode() + b"\n"


@schemathesis.serializer("application/vnd.apache.parquet")
def parquet(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send a file that holds a value, since no schema says what a file is; anything but a file as JSON."""
    if not isinstance(value, str | bytes):
        return json.dumps(value).encode()
    stream = io.BytesIO()
    pq.write_table(pa.table({"trace": [ascii(value)]}), stream)
    return stream.getvalue()

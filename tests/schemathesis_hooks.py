"""What schemathesis needs to know to send lines of JSON, and files."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send a value as one line of JSON."""
    return json.dumps(value).encode() + b"\n"


@schemathesis.serializer("application/vnd.apache.parquet")
def file(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send a value as it is, or what stands for it as JSON."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()

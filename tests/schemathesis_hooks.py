"""What schemathesis needs to know to send lines of JSON."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send a value as one line of JSON."""
    return json.dumps(value).encode() + b"\n"

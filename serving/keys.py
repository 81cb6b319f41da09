"""API keys: compared in constant time, kept as digests, never logged."""

import hmac
from collections.abc import Iterable
from hashlib import sha256

from serving.errors import ApiKeyError


class ApiKeys:
    """The keys of which a request must carry one.

    Parameters
    ----------
    keys
        The keys; without any, requests need none.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [sha256(key.encode()).digest() for key in keys]

    @property
    def required(self) -> bool:
        """Return whether requests need a key."""
        return bool(self._digests)

    def check(self, authorization: str | None) -> None:
        """Check the `Authorization` header of a request.

        Raises
        ------
        ApiKeyError
            If keys are required and it carries none of them.
        """
        if not self._digests:
            return
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise ApiKeyError("this service needs an API key; send the header Authorization: Bearer KEY")
        given = sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        # Every key is compared, so that the time says nothing about which one came close.
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        if not any(matches):
            raise ApiKeyError("the API key is not known to this service; check the Authorization header")

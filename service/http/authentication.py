"""From the headers of a request to who sends it. Paid by every request: a microsecond."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from service.domain.access import ANYBODY, Caller
from service.errors import Unauthenticated
from service.http.failures import Failures
from service.http.local import check_local
from service.usecases.keyring import Keyring

AUTHORIZATION_MAX_CHARACTERS: Final = 1024
HOW: Final = "Send it as `Authorization: Bearer sk_…`, or as the user name of HTTP Basic."
_BEARER: Final = "Bearer "
_BEARER_LENGTH: Final = len(_BEARER)


class Gate:
    """Where callers show their keys.

    A key that is good gets in whatever else comes from its address: who floods us from behind a shared address must
    not shut its neighbours out, and what protects keys is that nobody can guess 226 random bits, not that guesses are
    counted. Counting keeps the noise down.
    """

    def __init__(self, keyring: Keyring, failures: Failures) -> None:
        self.keyring = keyring
        self._failures = failures
        self.is_on_loopback = False
        """Whether it is known that callers come from this machine; otherwise each connection is looked at."""

    def admit(self, request: web.Request) -> Caller:
        """Who this is. Raises: Unauthenticated, TooManyBadKeys; Forbidden for what is open to this machine only."""
        keyring = self.keyring
        if keyring.is_open:
            if not keyring.is_open_to_all:
                check_local(request, is_on_loopback=self.is_on_loopback)
            return ANYBODY
        given = request.headers.getall("Authorization", ())
        if not given:
            raise Unauthenticated(f"A key is needed. {HOW}")
        try:
            return keyring.caller(_key(given))
        except Unauthenticated:
            self._failures.count(request.remote or "")
            raise


def _key(given: Sequence[str]) -> str:
    """The key in the headers. Raises: Unauthenticated."""
    authorization = given[0]
    if len(given) > 1:
        raise Unauthenticated("There is more than one Authorization header.")
    # The header can hold bytes that are no text; a key is ASCII, and so is base64.
    if len(authorization) > AUTHORIZATION_MAX_CHARACTERS or not authorization.isascii():
        raise Unauthenticated(f"The Authorization header holds no key. {HOW}")
    if authorization[:_BEARER_LENGTH] == _BEARER:
        return authorization[_BEARER_LENGTH:].strip(" ")
    scheme, _, rest = authorization.partition(" ")
    scheme, rest = scheme.lower(), rest.strip(" ")
    if scheme == "bearer" and rest:
        return rest
    if scheme == "basic" and rest:
        return _user_name(rest)
    raise Unauthenticated(f"The Authorization header is neither Bearer nor Basic. {HOW}")


def _user_name(credentials: str) -> str:
    """Raises: Unauthenticated."""
    try:
        user, colon, _password = base64.b64decode(credentials, validate=True).decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        user, colon = "", ""
    if not user or not colon:
        raise Unauthenticated(f"The Authorization header is not HTTP Basic with a key as user name. {HOW}")
    return user

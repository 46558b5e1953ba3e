"""Who gets in, put together."""

from service.database.keys import Keys
from service.http.authentication import Gate
from service.http.failures import Failures
from service.http.skep import Skep
from service.usecases.keyring import Keyring


def wire_access(skep: Skep) -> Keyring:
    """To be done before the feed of changes opens: that is when the keyring is filled."""
    settings = skep.settings
    skep.keys = Keys(skep.database)
    keyring = Keyring(skep.keys, auth=settings.auth, admin_key=settings.admin_key)
    keyring.listen(skep.changes)
    skep.gate = Gate(keyring, Failures(per_minute=settings.auth_failures_max))
    return keyring

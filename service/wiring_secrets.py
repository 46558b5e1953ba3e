"""What keeps secrets, put together."""

from service.database.sealing_keys import SealingKeys, key_path
from service.database.secrets import TOPIC, Secrets
from service.http.skep import Skep


def wire_secrets(skep: Skep) -> Secrets:
    """Follows the feed of changes as soon as that runs."""
    keys = SealingKeys(skep.settings.secrets_keys, key_path(skep.settings.database_path))
    secrets = skep.secrets = Secrets(skep.database, keys)
    skep.changes.listen(TOPIC, secrets.reload)
    return secrets

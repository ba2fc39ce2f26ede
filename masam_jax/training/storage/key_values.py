"""Short texts that the processes of a run leave for each other, in JAX's coordination service.

The one place that knows the service's client, which JAX does not publish; Orbax goes the same way.
"""

from typing import Any, Protocol

import jax

_ROOT = "masam/"


class KeyValues(Protocol):
    """Texts by key; keys have folders, as paths do."""

    def put(self, key: str, value: str) -> None:
        """Leaves a text, in the place of what was there."""

    def put_first(self, key: str, value: str) -> None:
        """Leaves a text where there is none; what is there stays."""

    def get(self, key: str) -> str | None:
        """A text; None where there is none."""

    def below(self, folder: str) -> dict[str, str]:
        """All texts in a folder, by the last part of their keys."""


class ServiceKeyValues:
    """Those of the service that process 0 offers; every method fails where it does not answer."""

    def put(self, key: str, value: str) -> None:
        """See `KeyValues`."""
        service_client().key_value_set(_ROOT + key, value, allow_overwrite=True)

    def put_first(self, key: str, value: str) -> None:
        """See `KeyValues`."""
        try:
            service_client().key_value_set(_ROOT + key, value)
        except jax.errors.JaxRuntimeError as error:
            if "ALREADY_EXISTS" not in str(error):
                raise

    def get(self, key: str) -> str | None:
        """See `KeyValues`."""
        try:
            return service_client().key_value_try_get(_ROOT + key)
        except jax.errors.JaxRuntimeError as error:
            if "NOT_FOUND" not in str(error):
                raise
            return None

    def below(self, folder: str) -> dict[str, str]:
        """See `KeyValues`."""
        found = service_client().key_value_dir_get(f"{_ROOT}{folder}/")
        return {key.rpartition("/")[2]: value for key, value in found}


def service_client() -> Any:
    """The client of JAX's coordination service.

    Raises:
      RuntimeError: this process is alone.
    """
    client = jax._src.distributed.global_state.client
    if client is None:
        raise RuntimeError("this process is connected to no others")
    return client

"""How data sets are asked for: ``name[:option=value,...]``, as methods are.

In the place of a name there may be where data of one's own are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from masam_jax.core.extras import install_extras
from masam_jax.core.specs import (
    cut_specification,
    read_options,
    unknown,
    write_options,
)
from masam_jax.data.builders.registry import BUILDERS, builder_class
from masam_jax.data.own.location import absolute, cut_place, is_own_data
from masam_jax.data.own.options import OwnOptions
from masam_jax.data.shipped import SHIPPED

# Stands in the place of a name of data that were given as arrays, which it cannot open.
IN_MEMORY = "<in memory"


class DatasetSpec(NamedTuple):
    """A data set and its variant.

    Attributes:
      name: one of `all_dataset_names`; or the path, or ``package.module:function``, of data of
        one's own.
      options: an instance of its dataclass of options.
    """

    name: str
    options: Any


class MissingPackage(ValueError):
    """A data set needs a package that is not installed.

    Attributes:
      need: which one, and how it is installed.
    """

    def __init__(self, name: str, error: ModuleNotFoundError) -> None:
        """Of a data set whose builder could not be imported."""
        self.need = missing_package(error)
        super().__init__(f"dataset {name!r} {self.need}")


def all_dataset_names() -> tuple[str, ...]:
    """Names of the published data sets and of those that ship with the package, sorted."""
    return tuple(sorted({*BUILDERS, *SHIPPED}))


def is_published(name: str) -> bool:
    """Whether a data set is prepared from its own files, rather than shipped with the package."""
    return name in BUILDERS


def is_own(spec: str) -> bool:
    """Whether a specification is of data of one's own: a path, or ``package.module:function``."""
    return is_own_data(spec, all_dataset_names())


def options_of(name: str) -> type:
    """The dataclass of a data set's options.

    Raises:
      ValueError: unknown name, with the nearest one.
      MissingPackage: the data set needs a package that is not installed.
    """
    if is_own(name):
        return OwnOptions
    if name not in all_dataset_names():
        raise ValueError(unknown("dataset", name, all_dataset_names()))
    if not is_published(name):
        return SHIPPED[name].options
    try:
        return builder_class(name).OPTIONS
    except ModuleNotFoundError as error:
        raise MissingPackage(name, error) from error


def parse_dataset(spec: str) -> DatasetSpec:
    """Reads ``name[:option=value,...]``, or a place in the name's.

    Args:
      spec: for example ``"mfeat"`` or ``"crema_d:split=actor,frames=3"``. Values are read by their
        option's type; ``none`` is None, and several numbers have ``/`` between them.

    Raises:
      ValueError: unknown data set or option (with the nearest name), a malformed item, an option
        given twice, a value that its option does not accept, or a package that is missing.

    Examples:
      >>> name, options = parse_dataset("synthetic:dominance=4/1,samples=400")
      >>> name, options.dominance, options.samples
      ('synthetic', (4.0, 1.0), 400)
      >>> parse_dataset("patients.csv:label=outcome,group=patient").options.group
      'patient'
    """
    if spec.startswith(IN_MEMORY):
        raise ValueError(
            f"the data {spec!r} were given to the run as arrays, in Python; give them again:"
            " masam_jax.compare(data, ...), load_predictor(RUN).of_dataset(data)"
        )
    name, text = cut_place(spec) if is_own(spec) else cut_specification(spec)
    return DatasetSpec(name, read_options(options_of(name)(), text, f"dataset {spec!r}"))


def write_dataset(dataset: DatasetSpec) -> str:
    """The shortest specification that `parse_dataset` reads as this one.

    Examples:
      >>> write_dataset(parse_dataset("synthetic:noise=1,samples=400"))
      'synthetic:samples=400'
    """
    changed = write_options(dataset.options)
    return dataset.name + (f":{changed}" if changed else "")


def pinned(spec: str) -> str:
    """A specification that means the same in any directory: paths of one's own are absolute.

    Raises:
      ValueError: as `parse_dataset`.
    """
    if not is_own(spec):
        return spec
    dataset = parse_dataset(spec)
    return write_dataset(dataset._replace(name=absolute(dataset.name)))


def missing_package(error: ModuleNotFoundError) -> str:
    """What a data set needs, and how it is installed."""
    package = (error.name or "").partition(".")[0]
    return f"needs the package {package}: {install_extras('data')}"

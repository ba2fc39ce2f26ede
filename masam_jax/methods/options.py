"""What the options of all methods share: checks at the door, and how values are written."""


def format_number(value: object) -> str:
    """A number as people write it: ``12`` rather than ``12.0``; anything else as ``str``."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def write_value(value: object) -> str:
    """An option's value as specifications write it."""
    if isinstance(value, tuple):
        return "/".join(write_value(part) for part in value)
    return str(value).lower() if isinstance(value, bool | None) else format_number(value)


def require(condition: bool, name: str, value: object, accepted: str) -> None:
    """Raises ``ValueError`` naming an option, its value and what is accepted."""
    if not condition:
        raise ValueError(f"{name}={value} is out of range: expected {accepted}")


def with_weight(title: str, weight: float) -> str:
    """A method's title, with λ where it is not 1."""
    return title if weight == 1 else f"{title} λ={format_number(weight)}"

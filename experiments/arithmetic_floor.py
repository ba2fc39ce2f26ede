"""The least that an exact step of MASAM can cost."""


def floor(modalities: int) -> float:
    """The arithmetic of an exact MASAM step × late fusion, backward = 2 × forward."""
    return (5 * modalities + 3) / (3 * modalities)

"""The zoo: methods of balanced multimodal learning behind one protocol.

Each method is a file that registers itself; importing this package registers the built-in ones.
"""

from masam_jax.methods import fusion_only, late_fusion, masam, sam  # noqa: F401
from masam_jax.methods.registry import (
    BoundMethod,
    Method,
    get_method,
    method_names,
    parse_method,
    register,
)

__all__ = [
    "BoundMethod",
    "Method",
    "get_method",
    "method_names",
    "parse_method",
    "register",
]

"""Tuning trains."""

from tests.promotion import standard_promotion

__all__ = ["standard_promotion"]

"""Configurations: typed, frozen dataclasses that check themselves, and published settings."""

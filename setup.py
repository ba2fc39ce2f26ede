"""The package's definition for setuptools; every setting is in ``pyproject.toml``."""

from setuptools import setup

if __name__ == "__main__":
    setup()

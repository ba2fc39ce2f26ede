"""Builders of the published data sets."""

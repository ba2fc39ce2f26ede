"""Tests of runs in buckets."""

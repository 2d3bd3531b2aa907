"""Benchmark records as a page."""

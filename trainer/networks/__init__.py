"""Specifications become modules, and mothers grow into members."""

"""Starts servers, loads them, and counts what they cost."""

"""Parley's front, examined from outside."""

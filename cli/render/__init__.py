"""Answers for a person: tables, bars and pictures. Nothing here computes what it shows."""

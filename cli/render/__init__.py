"""Answers for a person: tables, bars and pictures. Every figure that is shown comes from the answer."""

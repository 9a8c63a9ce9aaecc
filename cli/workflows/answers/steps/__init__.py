"""Answers of the commands that execute single steps."""

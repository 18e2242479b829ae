"""Attacks on the evaluation: what an agent would try that wants the score without the work, and what it gained.

The files in `gaming` and `hostile` are submissions: they are read as text and run in the sandbox only, never imported.
"""

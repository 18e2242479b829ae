"""Attacks on the evaluation: what an agent would try that wants the score without the work, and what it gained."""

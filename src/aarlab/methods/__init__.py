"""The method library: published methods, one file each, the same contract as any submission.

A method file defines `fit(problem: Problem, seed: int) -> Predictor` and may import numpy, scipy,
scikit-learn, `aarlab.students` and its siblings here. It runs in the sandbox like any other.
"""

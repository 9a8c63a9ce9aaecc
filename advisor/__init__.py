"""advisor reasons: vocabulary, design space, plans, predictors, search and recommendation.

Nothing in this package imports torch, SQL or a terminal; it is pure Python, numpy, scipy,
scikit-learn and Optuna, so that every forecast can be made without a network being built.
"""

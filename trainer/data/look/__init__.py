"""A look at a data set before any network is trained: repeated images, and errors of simple classifiers."""

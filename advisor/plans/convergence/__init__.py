"""The number of epochs to convergence: what training steps are alike, and how many epochs each takes."""

"""How much test error a training will leave: published facts, trainings as evidence, draws as answer."""

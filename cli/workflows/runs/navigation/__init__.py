"""`advisor train --until-error`: an ensemble gets clusters until a target is met."""

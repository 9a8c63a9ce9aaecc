"""trainer acts: builds networks from specifications, trains, hatches and evaluates them."""

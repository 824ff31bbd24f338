"""The search of CARBS: surrogates, the front, what a candidate promises, and the final answer."""

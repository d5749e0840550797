"""Steps of the chain: pure arithmetic, names and parameters as in AutoPyFactory."""

"""The ground under positions and grid: columns of arrays and the few operations on them."""

"""What grids and maps tell beyond their cells: pure functions, no I/O."""

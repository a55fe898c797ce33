"""Simulations that hold the gate to its promises."""

"""Meters that are not there, speaking their real protocols over real transports."""

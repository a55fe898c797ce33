"""Host side of the containers: starts the right image with the least rights it needs, and brings the report back."""

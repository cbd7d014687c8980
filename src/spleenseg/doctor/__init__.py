"""What this installation can do: its parts, its devices, its speed, and what is missing."""

"""What it takes to teach Underpaint's starter model."""

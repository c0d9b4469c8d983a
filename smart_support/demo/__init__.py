"""Everything that exists for the demo: its businesses, its chat model, its history."""

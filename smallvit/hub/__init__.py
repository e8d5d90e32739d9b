"""Pushes model folders to the Hugging Face Hub and downloads them."""
